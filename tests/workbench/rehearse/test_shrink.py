"""A shrunken copy learns like a model: real processor, real class, a loss near chance and gradients everywhere."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from PIL import Image  # noqa: E402
from support import hub_folders  # noqa: E402

from mindgpt_plugins.workbench.rehearse.models import make_model_copy  # noqa: E402
from mindgpt_plugins.workbench.rehearse.shrink import COPIED, ShrinkError, UnsupportedArchitecture, shrink_model  # noqa: E402

FAMILIES = ("qwen2_5_vl_7b", "qwen3_vl_8b", "qwen3_vl_30b_a3b", "qwen3_8b", "qwen3_30b_a3b", "qwen2_5_7b")


def picture() -> Image.Image:
    ramp = [(x, 255 - y, (x * y) % 256) for y in range(200) for x in range(256)]
    image = Image.new("RGB", (256, 200))
    image.putdata(ramp)
    return image


def inputs(folder: Path, sees: bool) -> dict[str, Any]:
    """A question with a picture and its reply, through the copied processor."""
    text = {"type": "text", "text": "what colour is the square?"}
    turns = [
        {"role": "user", "content": [{"type": "image", "image": picture()}, text] if sees else text["text"]},
        {"role": "assistant", "content": [{"type": "text", "text": "answer: red"}] if sees else "answer: red"},
    ]
    auto = transformers.AutoProcessor if sees else transformers.AutoTokenizer
    made = auto.from_pretrained(folder).apply_chat_template(turns, tokenize=True, return_dict=True, return_tensors="pt")
    return dict(made)


def load(folder: Path, sees: bool) -> Any:
    auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    return auto.from_pretrained(folder, dtype="auto")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_with_the_real_processor(name: str, tmp_path: Path) -> None:
    source = hub_folders.make(name, tmp_path / "source")
    made = shrink_model(source, tmp_path / "small")
    before, after = (json.loads((tmp_path / side / "config.json").read_text()) for side in ("source", "small"))
    assert after["architectures"] == before["architectures"] == [made.architecture]
    assert after["model_type"] == before["model_type"]
    for file in COPIED:
        if (source / file).is_file():
            assert (tmp_path / "small" / file).read_bytes() == (source / file).read_bytes()
    assert (tmp_path / "small" / "model.safetensors").stat().st_size < 100e6

    sees = "vision_config" in before
    model = load(tmp_path / "small", sees)
    assert type(model).__name__ == made.architecture
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert sum(weight.numel() for weight in model.parameters()) == made.parameters < made.original_parameters / 50
    batch = inputs(tmp_path / "small", sees)
    if sees:
        side = 28 if "qwen2_5" in name else 32
        seen = int((batch["input_ids"] == 151655).sum())
        tokens = round(256 / side) * round(200 / side)
        assert seen == (tokens if side == 28 else 80), "as many as the real processor makes: at least 65,536 pixels"
    loss = model(**batch, labels=batch["input_ids"].where(batch["input_ids"] != 151655, -100)).loss
    assert abs(loss.item() - math.log(model.config.get_text_config().vocab_size)) < 0.6
    loss.backward()
    still = [n for n, weight in model.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert not still


def test_what_is_cut_and_what_stays(tmp_path: Path) -> None:
    made = shrink_model(hub_folders.make("qwen3_vl_8b", tmp_path / "source"), tmp_path / "small")
    assert made.original_parameters == 8_767_123_696
    assert made.cut["text_config.hidden_size"] == (4096, 64) and made.cut["vision_config.depth"] == (27, 4)
    assert made.cut["vision_config.out_hidden_size"] == (4096, 64)
    small = json.loads((tmp_path / "small" / "config.json").read_text())
    text, vision = small["text_config"], small["vision_config"]
    assert text["vocab_size"] == 151936 and not small["tie_word_embeddings"]
    assert sum(text["rope_parameters"]["mrope_section"]) * 2 == text["head_dim"]
    assert len(vision["deepstack_visual_indexes"]) == 3 <= text["num_hidden_layers"]
    assert max(vision["deepstack_visual_indexes"]) < vision["depth"] - 1
    assert (vision["patch_size"], vision["spatial_merge_size"], vision["num_position_embeddings"]) == (16, 2, 2304)


def test_kinds_of_layers_stay(tmp_path: Path) -> None:
    source = hub_folders.make("qwen2_5_vl_3b", tmp_path / "windows", words=1000)
    shrink_model(source, tmp_path / "small")
    vision = json.loads((tmp_path / "small" / "config.json").read_text())["vision_config"]
    assert vision["fullatt_block_indexes"] == [1, 3] and vision["depth"] == 4 and vision["window_size"] == 112

    source = hub_folders.make("qwen3_30b_a3b", tmp_path / "experts", words=1000)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"decoder_sparse_step": 3, "mlp_only_layers": [2, 5]}))
    shrink_model(source, tmp_path / "mixed")
    text = json.loads((tmp_path / "mixed" / "config.json").read_text())
    assert (text["num_hidden_layers"], text["mlp_only_layers"]) == (9, [2, 5]), "the first expert layer is the ninth"
    model = load(tmp_path / "mixed", sees=False)
    assert [hasattr(layer.mlp, "experts") for layer in model.model.layers] == [False] * 8 + [True]


def test_made_once_and_again_when_something_changes(tmp_path: Path) -> None:
    source = hub_folders.make("qwen3_vl_2b", tmp_path / "source", words=1000)
    target = tmp_path / "deep" / "small"
    first = shrink_model(source, target)
    weights = target / "model.safetensors"
    stamp, content = weights.stat().st_mtime_ns, weights.read_bytes()
    assert shrink_model(source, target) == first and weights.stat().st_mtime_ns == stamp
    shutil.rmtree(target)
    shrink_model(source, target)
    assert weights.read_bytes() == content, "the same seed gives the same weights"
    shrink_model(source, target, seed=1)
    assert weights.read_bytes() != content
    config = json.loads((source / "config.json").read_text())
    config["text_config"]["vocab_size"] = 152064
    (source / "config.json").write_text(json.dumps(config))
    assert shrink_model(source, target, seed=1).parameters == first.parameters + 128 * 64
    assert not list(target.parent.glob(".*"))


def test_no_size_grows(tmp_path: Path) -> None:
    source = hub_folders.make("qwen3_8b", tmp_path / "source", words=1000)
    again = shrink_model(source, tmp_path / "small")
    twice = shrink_model(tmp_path / "small", tmp_path / "smaller")
    assert twice.cut == {} and twice.parameters == twice.original_parameters == again.parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, r"no shrunken copy of 'LlamaForCausalLM'.*Supported: Qwen2_5_VL"),
        ({"architectures": ["Qwen3ForSequenceClassification"]}, "no shrunken copy of 'Qwen3ForSequenceClassification'"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantization_config: fresh weights have no quantised form"),
        ({"auto_map": {"AutoConfig": "own.Config"}}, "auto_map names code of the model's own"),
    ],
)
def test_what_cannot_be_shrunk_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = hub_folders.make("qwen3_8b", tmp_path / "source", words=1000)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UnsupportedArchitecture if "architectures" in change else ShrinkError, match=message):
        shrink_model(source, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShrinkError, match="no config.json there"):
        shrink_model(tmp_path, tmp_path / "small")
    source = hub_folders.make("qwen3_vl_2b", tmp_path / "source", words=1000)
    (source / "preprocessor_config.json").unlink()
    with pytest.raises(ShrinkError, match="no image processor there"):
        shrink_model(source, tmp_path / "small")
    (source / "tokenizer.json").unlink()
    with pytest.raises(ShrinkError, match="no tokenizer there"):
        shrink_model(source, tmp_path / "small")


def test_the_command_line_makes_a_copy_without_importing_torch(tmp_path: Path) -> None:
    """With CPU wheels as they are: what mends them reaches the processes of stages, not the user's shell."""
    source = hub_folders.make("qwen3_vl_8b", tmp_path / "source", words=1000)
    script = (
        "import sys; from pathlib import Path; from mindgpt_plugins.workbench.rehearse.models import make_model_copy\n"
        "made = make_model_copy(Path(sys.argv[1]), Path(sys.argv[2])); print(made.architecture, 'torch' in sys.modules)"
    )
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", script, str(source), str(tmp_path / "copy")]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["Qwen3VLForConditionalGeneration", "False"], done.stderr


def test_what_cannot_be_copied_is_named_by_the_other_process_too(tmp_path: Path) -> None:
    with pytest.raises(ShrinkError, match=r"no config\.json there"):
        make_model_copy(tmp_path, tmp_path / "copy")
