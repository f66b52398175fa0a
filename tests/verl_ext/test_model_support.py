"""What RL refuses by name, read from a model folder's JSON files."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

from mindgpt_plugins.verl_ext.model_support import OWN_POSITIONS, VERL_PROCESSORS, find_rl_refusal


def make(folder: Path, kind: str = "gemma3", processor: str = "Gemma3Processor", **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": kind, "vision_config": {}, **config}))
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": processor}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def test_a_family_without_exception_is_taken(tmp_path: Path) -> None:
    assert find_rl_refusal(make(tmp_path)) is None
    assert find_rl_refusal(make(tmp_path, "a_new_vl", "ANewVLProcessor")) is None
    # A folder that keeps old code beside weights of transformers' own class.
    assert find_rl_refusal(make(tmp_path, auto_map={"AutoModelForCausalLM": "modeling.X"})) is None


def test_a_text_model_and_an_empty_folder_are_taken(tmp_path: Path) -> None:
    assert find_rl_refusal(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert find_rl_refusal(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "paddleocr_vl", "processor": "PaddleOCRVLProcessor"}, "paddleocr_vl computes positions in several"),
        ({"kind": "mllama", "processor": "MllamaProcessor"}, "mllama attends to its pictures by a cross_attention"),
        (
            {"kind": "molmo", "auto_map": {"AutoModelForCausalLM": "modeling.X"}},
            r"molmo.* code of its own folder",
        ),
    ],
)
def test_what_it_cannot_take_is_named(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    assert re.search(says, find_rl_refusal(make(tmp_path, **changes)) or "")  # type: ignore[arg-type]


def test_a_model_whose_vision_part_is_deeper_down(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_omni", "thinker_config": {}}))
    assert "qwen2_5_omni computes positions" in (find_rl_refusal(tmp_path) or "")


def test_without_a_chat_template(tmp_path: Path) -> None:
    (make(tmp_path) / "chat_template.jinja").unlink()
    assert "gemma3 has no chat template" in (find_rl_refusal(tmp_path) or "")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert find_rl_refusal(tmp_path) is None


def test_without_the_patch_verls_own_list_counts(tmp_path: Path) -> None:
    said = find_rl_refusal(make(tmp_path), registers=False) or ""
    assert "no place for Gemma3Processor (gemma3)" in said and "verl_processors: off" in said
    assert find_rl_refusal(make(tmp_path, "qwen3_vl", "Qwen3VLProcessor"), registers=False) is None


def test_the_list_is_the_installed_verls() -> None:
    verl = pytest.importorskip("verl.utils.tokenizer.tokenizer")
    tree = ast.parse(inspect.getsource(inspect.unwrap(verl.hf_processor)))
    cases = {node.pattern.value.value for node in ast.walk(tree) if isinstance(node, ast.match_case)
             and isinstance(node.pattern, ast.MatchValue)}  # fmt: skip
    assert cases == VERL_PROCESSORS


def test_the_model_types_with_positions_of_their_own_are_the_installed_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    models = Path(transformers.__file__).parent / "models"
    own = {path.parent.name for path in models.glob("*/modeling_*.py") if "def get_rope_index" in path.read_text()}
    known = {"glm46v", "glm4v", "glm4v_moe", "qwen2_5_vl", "qwen2_vl", "qwen3_5", "qwen3_5_moe", "qwen3_vl",
             "qwen3_vl_moe"}  # fmt: skip
    assert own == OWN_POSITIONS | known
