"""Real llm-compressor on a tiny model, in the interpreter named by MINDGPT_QUANTISE_PYTHON (constraints/quant.txt)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.core import process
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.quantise.config import QuantiseConfig
from mindgpt_plugins.stages.quantise.stage import Quantise

PYTHON = os.environ.get("MINDGPT_QUANTISE_PYTHON")


@pytest.mark.slow
@pytest.mark.skipif(PYTHON is None, reason="MINDGPT_QUANTISE_PYTHON names no interpreter with llm-compressor")
@pytest.mark.parametrize("scheme", ["fp8_dynamic", "int8_w8a8"])
def test_a_model_that_answers_nothing_right_fails_the_gate(
    tiny_model: Path, datasets: Path, tmp_path: Path, scheme: str
) -> None:
    raw: dict[str, Any] = {"kind": "quantise", "model": str(tiny_model), "scheme": scheme, "max_new_tokens": 8}
    raw |= {"calibration": {"sets": ["data/dev"], "rows": 6}, "gate": {"sets": ["data/dev"]}}
    context = Context("q", tmp_path / "q", {"data": {"datasets": str(datasets)}}, seed=0)
    context.folder.mkdir()
    (command,) = Quantise().render(QuantiseConfig.model_validate(raw), context)
    env = os.environ | process.build_child_environment(cpu=True, offline=True, extra={})
    ran = subprocess.run([str(PYTHON), *command.argv], cwd=context.folder, env=env, capture_output=True, text=True)
    assert ran.returncode == 1 and "recovery cannot be judged" in ran.stderr
    assert not (context.folder / "model").exists()  # only what passed is a model
    candidate = json.loads((context.folder / "candidate/config.json").read_text())
    kept = candidate["quantization_config"]["ignore"]
    assert any("lm_head" in name for name in kept) and any("visual" in name for name in kept)
    quality = json.loads((context.folder / "quality.json").read_text())
    assert quality["verdict"] == "failed" and quality["kl"] > 0 and quality["size"] < 1
    if scheme == "int8_w8a8":
        used = json.loads((context.folder / "calibration.json").read_text())
        assert 1 <= len(used) <= 6
