"""The verb: what it prints and writes, and every refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.sizing.model import ModelError
from mindgpt_plugins.workbench.parallel.request import RequestError

CONFIGS = Path(__file__).parent / "configs"
DENSE = str(CONFIGS / "qwen3_vl_8b.json")


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(build_cli_app(), ["plan", "parallel", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_layouts_rules_modes_and_keys(tmp_path: Path) -> None:
    data, chart = tmp_path / "plan.json", tmp_path / "plan.html"
    shown = invoke(
        DENSE, "--gpus", "8", "--images", "4x1024x1024", "--render", "--json", str(data), "--html", str(chart)
    )
    assert "8,767,123,696 parameters" in shown and "4 images of 16384 patches (4096 tokens)" in shown
    assert "layers % (PP·VPP) (36 layers)" in shown and "never measured on a GPU" in shown
    assert "transformer_layer_cls_to_wrap" in shown or "zero_optimization" in shown
    found = json.loads(data.read_text())
    assert "never measured on a GPU" in found["note"] and found["model"]["parameters"] == 8767123696
    first = found["options"][0]
    assert first["fits"] and sum(first["bytes"].values()) < first["peak"] < 80 * 2**30
    page = chart.read_text()
    assert page.count("<rect") >= 12 * 6 and "://" not in page and "never measured on a GPU" in page


def test_a_text_model_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((CONFIGS / "qwen3_8b.json").read_text())
    shown = invoke(
        str(tmp_path), "--gpus", "8", "--stage", "rl", "--trainer", "verl-megatron", "--recompute", "selective"
    )
    assert "(qwen3)" in shown and "TP1" in shown and "vision tower" not in shown


def test_without_a_vision_part_it_is_planned_as_text_and_says_so(tmp_path: Path) -> None:
    raw = json.loads(Path(DENSE).read_text())
    del raw["vision_config"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(raw))
    assert "has no vision_config: planned as a text model" in invoke(str(path), "--gpus", "8")
    with pytest.raises(RequestError, match="no vision part"):
        invoke(str(path), "--gpus", "8", "--images", "512x512")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "0"], "--gpus 0: at least one"),
        (["--gpus", "12"], "not whole nodes; 8 are"),
        (["--gpus", "7", "--global-batch", "64"], r"no layout of 7 GPUs is valid.*heads % TP \(32 heads\)"),
        (["--gpus", "8", "--seq", "262145"], "positions for 1 to 262144 tokens"),
        (["--gpus", "8", "--gpu-mem", "0"], "--gpu-mem 0: GiB per GPU"),
        (["--gpus", "8", "--images", "640"], "in pixels, e.g. 4x1024x768"),
        (["--gpus", "8", "--images", "99x1024x1024"], "101376 vision tokens leave no room"),
        (["--gpus", "8", "--stage", "dpo"], "--stage 'dpo': sft or rl"),
        (["--gpus", "8", "--trainer", "verl-megatrom"], "did you mean 'verl-megatron'"),
        (["--gpus", "8", "--stage", "rl", "--trainer", "llamafactory"], "does not run stage rl"),
        (["--gpus", "8", "--recompute", "selective"], "whole layers or nothing"),
        (["--gpus", "8", "--recompute", "some"], "none, selective or full"),
        (["--gpus", "8", "--micro-batch", "0"], "at least 1"),
        (["--gpus", "8", "--lora", "-1"], "--lora -1"),
        (["--gpus", "8", "--pick", "900"], "--pick 900: there are layouts 1 to"),
    ],
)
def test_questions_without_an_answer(arguments: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        invoke(DENSE, *arguments)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"model_type": "llava"}', "model_type 'llava' is not one whose sizes we know"),
        ('{"model_type": "qwen3_v"}', "did you mean 'qwen3_vl'"),
        ("{}", "model_type None"),
        ("[]", "not a model configuration but list"),
        ("{", "not JSON"),
        ('{"model_type": "qwen3", "hidden_size": 8}', "num_attention_heads is None"),
        ('{"model_type": "qwen3", "num_attention_heads": 0}', "num_attention_heads is 0"),
    ],
)
def test_models_it_cannot_plan(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ModelError, match=message):
        invoke(str(path), "--gpus", "8")


def test_a_hub_name_is_not_downloaded() -> None:
    with pytest.raises(ModelError, match="nothing is downloaded"):
        invoke("Qwen/Qwen3-VL-8B-Instruct", "--gpus", "8")


def test_no_torch_is_imported() -> None:
    code = (
        "import sys; from mindgpt_plugins.cli import run_verb; sys.argv = ['mindgpt', 'plan', 'parallel', "
        f"{DENSE!r}, '--gpus', '8', '--render']\ntry: run_verb()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'verl', 'llamafactory'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
