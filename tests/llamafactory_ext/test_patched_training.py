"""Real training runs with all patches on, and with all off: the same weights and losses, fewer encoder calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lf_assets import distance, environment, host_config, metrics, train
from mindgpt_patches import catalog, records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

COUNTER = Path(__file__).parents[1] / "patches" / "encoder_count"


def run(world: Path, folder: Path, mode: str, kind: str, **config: Any) -> tuple[Path, list[tuple[int, int]]]:
    """Output folder; pictures and distinct pictures of each call of the model's vision tower."""
    folder.mkdir()
    section = {
        "patches": dict.fromkeys(catalog.resolve_modes({}, kind), mode) | {"liger_qwen3_vl": "off"}
    }  # it needs CUDA
    path = f"{environment()['PYTHONPATH']}:{COUNTER}"  # ours hands over to it
    sgd = {"optim": "sgd", "learning_rate": 0.1, "max_steps": 4}
    done = train(
        host_config(world, folder / "out", mindgpt=section, **sgd, **config),
        PYTHONPATH=path,
        ENCODED=str(folder / "encoded"),
    )
    width = json.loads((done / "config.json").read_text())["vision_config"]["out_hidden_size"]
    calls = [json.loads(line) for line in (folder / "encoded").read_text().splitlines()]
    return done, [(pictures, distinct) for of, pictures, distinct in calls if of == width]  # others: certificates


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_on_is_off(world: Path, tmp_path: Path, kind: str) -> None:
    config = {"stage": "dpo", "dataset": "pairs"} if kind == "dpo" else {}
    (off, plain), (on, few) = (run(world, tmp_path / mode, mode, kind, **config) for mode in ("off", "on"))
    outcomes = {one.name: one for one in records.read_outcomes(on) if one.name != "liger_qwen3_vl"}
    assert {one.state for one in outcomes.values()} == {"applied"}
    for name in ("patch_embed_linear", "pos_embed_cache", "linear_cross_entropy"):
        assert max((outcomes[name].parity or {}).values()) <= 1e-5
    assert {one.state for one in records.read_outcomes(off)} == {"off"}

    assert distance(off, world / "model") > 1e-3
    assert distance(off, on) <= 1e-6
    losses = [[line["loss"] for line in metrics(folder) if "loss" in line] for folder in (off, on)]
    assert len(losses[0]) == 4 and losses[1] == pytest.approx(losses[0], abs=1.1e-6)  # six decimals

    assert len(plain) == len(few) > 0
    if kind == "dpo":  # chosen and rejected share a picture
        assert all(pictures == 8 for pictures, _ in plain)
        assert [pictures for pictures, _ in few] == [distinct for _, distinct in plain]
        assert all(pictures <= 4 for pictures, _ in few)
    else:
        assert few == plain
