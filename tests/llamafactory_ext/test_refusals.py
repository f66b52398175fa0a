"""What cannot work is refused before anything is loaded: a reference of another kind, Megatron."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mindgpt_plugins.stages.base import Context, Stage
from mindgpt_plugins.stages.dpo.stage import DPOStage
from mindgpt_plugins.stages.sft.stage import SFTStage


def model(folder: Path, kind: str = "qwen3_vl", vocabulary: tuple[str, ...] = ("a", "b")) -> dict[str, str]:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    (folder / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {token: i for i, token in enumerate(vocabulary)}}})
    )
    return {"model": str(folder)}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    inputs = {
        "policy": model(tmp_path / "policy"),
        "same": model(tmp_path / "same"),
        "other": model(tmp_path / "other", "qwen2_5_vl"),
        "tokens": model(tmp_path / "tokens", vocabulary=("b", "a")),
        "later": {"model": str(tmp_path / "not-there-yet")},
        "data": {"datasets": str(tmp_path / "no-data-yet")},
    }
    return Context("x", tmp_path / "stage", inputs, seed=0)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("other", "is qwen2_5_vl, the model qwen3_vl"),
        ("tokens", "has another tokenizer than the model"),
        ("same", None),
        ("later", None),
        ("org/hub-id", None),
    ],
)
@pytest.mark.parametrize("stage", [SFTStage(), DPOStage()], ids=["sft", "dpo"])
def test_a_reference_of_another_kind(context: Context, stage: Stage[Any], reference: str, message: str | None) -> None:
    common = {"model": "policy", "data": ["data/x"], "max_steps": 4, "batch_size": 4}
    if isinstance(stage, SFTStage):
        raw = {"kind": "sft", **common, "kl": {"sources": ["general"], "reference": reference}}
    else:
        raw = {"kind": "dpo", **common, "reference": reference}
    found = stage.check(stage.Config.model_validate(raw), context)
    if message is None:
        assert found == []
    else:
        (problem,) = found
        assert message in problem and "reference: " in problem


def test_megatron_says_what_would_not_act(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump({"stage": "sft", "output_dir": str(tmp_path / "out"), "mindgpt": {}}))
    done = subprocess.run(
        [sys.executable, "-m", "mindgpt_plugins.llamafactory_ext", "train", str(path)],
        env={**os.environ, "USE_MCA": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if line]
    assert error.startswith("mindgpt: error: mindgpt: does not work with USE_MCA=1")
    for part in ("curriculum", "mixture", "loss", "kl", "per-source logs"):
        assert part in error
