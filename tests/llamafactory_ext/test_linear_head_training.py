"""Real training runs with and without logits: the same weights, the same logs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lf_assets import command, distance, environment, host_config, metrics, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SFT = {"loss": {"name": "weighted_ce", "options": {"weights": {"domain": 2.0}, "length_weighting": "sqrt"}}}
DPO = {"stage": "dpo", "dataset": "pairs", "pref_loss": "sigmoid", "pref_ftx": 1.0, "pref_bco_weight": 0.25}


def outcome(folder: Path) -> dict[str, str]:
    (one,) = [one for one in json.loads((folder / "patches.json").read_text()) if one["name"] == "linear_cross_entropy"]
    return one


def both(
    world: Path, folder: Path, section: dict[str, Any], several: dict[str, str] | None = None, **config: Any
) -> list[Path]:
    """The same run with the patch off and on."""
    return [
        train(
            host_config(world, folder / mode, mindgpt={**section, "patches": {"linear_cross_entropy": mode}}, **config),
            **(several or {}),
        )
        for mode in ("off", "on")
    ]


def same_logs(one: Path, other: Path) -> None:
    for a, b in zip(metrics(one), metrics(other), strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - {"seconds", "time"}:
            if not key.startswith(("train_", "sec", "epoch_")) and isinstance(a[key], float):
                assert b[key] == pytest.approx(a[key], rel=1e-4, abs=1e-5), key


@pytest.mark.parametrize("ranks", [1, 2])
def test_sft(world: Path, tmp_path: Path, ranks: int) -> None:
    several = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": str(ranks)} if ranks > 1 else {}
    sgd = {"optim": "sgd", "learning_rate": 0.1, "per_device_train_batch_size": 4 // ranks}
    off, on = both(world, tmp_path, SFT, several, **sgd)
    assert outcome(off)["state"] == "off"
    assert outcome(on)["state"] == "applied"
    assert distance(off, world / "model") > 1e-2
    assert distance(off, on) <= 1e-6
    same_logs(off, on)


def test_sft_with_lora(world: Path, tmp_path: Path) -> None:
    lora = {"finetuning_type": "lora", "lora_rank": 4, "lora_target": "all", "optim": "sgd", "learning_rate": 0.1}
    off, on = both(world, tmp_path, SFT, **lora)
    assert outcome(on)["state"] == "applied"
    assert distance(off, on) <= 1e-6


@pytest.mark.parametrize("pref_loss", ["sigmoid", "simpo"])
def test_dpo(world: Path, tmp_path: Path, pref_loss: str) -> None:
    weight = 0.25 if pref_loss == "sigmoid" else 0.0
    config = {**DPO, "pref_loss": pref_loss, "pref_bco_weight": weight, "optim": "sgd", "learning_rate": 0.1}
    off, on = both(world, tmp_path, {}, **config)
    assert outcome(on)["state"] == "applied"
    assert distance(off, world / "model") > 1e-3
    assert distance(off, on) <= 1e-6
    same_logs(off, on)


def test_on_with_an_anchor_is_one_line_and_auto_takes_the_plain_path(world: Path, tmp_path: Path) -> None:
    anchored = {"kl": {"sources": ["general"], "beta": 0.5}}
    config = host_config(
        world, tmp_path / "on", mindgpt={**anchored, "patches": {"linear_cross_entropy": True}}, max_steps=1
    )
    done = subprocess.run(command(config), env=environment(), capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-2000:]
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("mindgpt: error:")]
    assert "KL anchor" in error and "off" in error
    auto = train(host_config(world, tmp_path / "auto", mindgpt=anchored, max_steps=1))
    assert outcome(auto)["state"] == "refused" and "KL anchor" in outcome(auto)["reason"]
