"""The quantise stage without llm-compressor: settings, calibration rows, the gate's verdict, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import write_set
from mindgpt_data.schema.rows import Row
from PIL import Image
from pydantic import ValidationError

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.quantise.calibration import CalibrationError, select_calibration_rows, stratify_items
from mindgpt_plugins.stages.quantise.config import QuantiseConfig
from mindgpt_plugins.stages.quantise.gate import find_quality_shortfalls, measure_weights_size
from mindgpt_plugins.stages.quantise.job import CalibrationJob
from mindgpt_plugins.stages.quantise.schemes import list_kept_modules
from mindgpt_plugins.stages.quantise.stage import Quantise

GATE = {"sets": ["data/dev"]}


def config(**change: Any) -> QuantiseConfig:
    return QuantiseConfig.model_validate({"kind": "quantise", "model": "m", "gate": GATE, **change})


def row(uid: str, capability: str) -> Row:
    return Row(
        uid=uid, image=[], question="?", answer="1", response="answer: 1", answer_type="number", source="general",
        capability=capability,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "int8"}, "there is no 'int8'; choose from fp8_dynamic"),
        ({"scheme": "w4a16_gptq"}, "w4a16_gptq needs data to look at"),
        ({"kv_cache": "fp8"}, "kv_cache: fp8 needs data to look at"),
        ({"calibration": {"sets": []}}, "calibration"),
        ({"gate": {"sets": ["data/dev"], "recovery": 0}}, "recovery"),
    ],
)
def test_what_cannot_work_is_refused_with_the_recipe(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**change)


def test_a_cuda_scheme_is_refused_on_cpu(tmp_path: Path) -> None:
    context = Context("q", tmp_path, {}, seed=0, cpu=True)
    (problem,) = Quantise().check(config(scheme="nvfp4a16"), context)
    assert "nvfp4a16 has kernels for CUDA only" in problem
    assert Quantise().check(config(), context) == []


def test_the_rendered_settings_name_folders_and_sets(tmp_path: Path) -> None:
    context = Context("q", tmp_path, {"data": {"datasets": "/d"}, "m": {"model": "/m"}}, seed=7)
    asked = config(scheme="int8_w8a8", calibration={"sets": ["data/train"], "rows": 4})
    (command,) = Quantise().render(asked, context)
    assert command.argv == ("-m", "mindgpt_plugins.stages.quantise", "quantise.json")
    settings = json.loads((tmp_path / "quantise.json").read_text())
    assert settings["model"] == "/m" and settings["seed"] == 7 and settings["device"] == "cpu"
    assert settings["calibration"]["sets"] == [{"folder": "/d", "name": "train"}]
    assert settings["gate"]["sets"] == [{"folder": "/d", "name": "dev"}]


def test_calibration_rows_are_spread_over_the_labels(tmp_path: Path) -> None:
    items = [(row(f"a{i}", "count"), tmp_path) for i in range(90)] + [
        (row(f"b{i}", "text"), tmp_path) for i in range(5)
    ]
    items += [(row("c", "where"), tmp_path)]
    chosen = stratify_items(items, 12, "capability", seed=0)
    assert Counter(r.capability for r, _ in chosen) == {"count": 6, "text": 5, "where": 1}
    assert chosen == stratify_items(items[::-1][::-1], 12, "capability", seed=0)
    assert chosen != stratify_items(items, 12, "capability", seed=1)
    assert len(stratify_items(items, 1000, "capability", seed=0)) == 96


def quality(**change: Any) -> dict[str, Any]:
    gate = {"recovery": 0.99, "top1": None, "kl": None} | change.pop("gate", {})
    return {"recovery": 0.995, "top1": 0.98, "kl": 1e-3, "gate": gate} | change


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (quality(), []),
        (quality(recovery=0.98), ["accuracy recovery 0.9800 < 0.99"]),
        (quality(gate={"top1": 0.99, "kl": 1e-4}), ["top-1 agreement 0.9800 < 0.99", "KL 1.00e-03 > 0.0001"]),
        (quality(recovery=None), ["recovery cannot be judged"]),
    ],
)
def test_the_gate_names_everything_that_is_lost(found: dict[str, Any], lost: list[str]) -> None:
    said = find_quality_shortfalls(found)
    assert len(said) == len(lost) and all(part in line for part, line in zip(lost, said, strict=True))


def test_the_head_everything_visual_and_routers_stay() -> None:
    assert list_kept_modules("qwen3_vl") == ["re:.*lm_head", "re:.*visual.*"]
    assert list_kept_modules("qwen3_vl_moe", ["re:.*layers.0.*"])[2:] == ["re:.*mlp.gate$", "re:.*layers.0.*"]


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no .safetensors files"):
        measure_weights_size(tmp_path)


def asked(folder: Path, **change: Any) -> CalibrationJob:
    raw = {"sets": [{"folder": str(folder), "name": "train"}], "rows": 8, "by": "capability", "text_only": False}
    return CalibrationJob.model_validate(raw | change)


@pytest.fixture
def calibration_set(tmp_path: Path) -> Path:
    """Six rows, four of them with a picture."""
    (tmp_path / "images").mkdir()
    rows = [row(f"r{i}", "count") for i in range(6)]
    for i in range(4):
        Image.new("RGB", (32, 32)).save(tmp_path / f"images/{i}.png")
        rows[i] = replace(rows[i], image=[f"images/{i}.png"])
    write_set(rows, tmp_path, "train")
    return tmp_path


def test_a_model_that_sees_is_calibrated_on_pictures(calibration_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = select_calibration_rows(asked(calibration_set), vision=True, seed=0)
    assert {r.uid for r, _ in chosen} == {"r0", "r1", "r2", "r3"}
    assert "2 rows without a picture are left out" in capsys.readouterr().out
    for options in ({"text_only": True}, {}):
        texts = select_calibration_rows(asked(calibration_set, **options), vision=bool(options), seed=0)
        assert {r.uid for r, _ in texts} == {"r4", "r5"}


def test_missing_calibration_pictures_are_named(calibration_set: Path) -> None:
    (calibration_set / "images/2.png").unlink()
    with pytest.raises(CalibrationError, match=r"1 pictures of 4 rows are missing; the first: .*2\.png of row r2"):
        select_calibration_rows(asked(calibration_set), vision=True, seed=0)


def test_text_alone_does_not_calibrate_a_model_that_sees(tmp_path: Path) -> None:
    write_set([row("t", "count")], tmp_path, "train")
    with pytest.raises(CalibrationError, match="none of 1 rows has a picture.*calibration.text_only: true"):
        select_calibration_rows(asked(tmp_path), vision=True, seed=0)


def test_the_process_says_what_is_missing_before_it_loads_anything(calibration_set: Path, tmp_path: Path) -> None:
    (calibration_set / "images/0.png").unlink()
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").write_text('{"model_type": "qwen3_vl", "vision_config": {}}')
    context = Context(
        "q", tmp_path, {"data": {"datasets": str(calibration_set)}, "m": {"model": str(tmp_path / "m")}}, 0
    )
    (command,) = Quantise().render(config(scheme="w4a16_gptq", calibration={"sets": ["data/train"]}), context)
    ran = subprocess.run([sys.executable, *command.argv], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1 and "0.png of row r0" in ran.stderr and "Traceback" not in ran.stderr
