"""A real verl run with an absurd but finite learning rate. Minutes; run with ``-m slow``."""

from pathlib import Path

import pytest
from real_verl import launch, lines, stage

from mindgpt_plugins.guards.divergence import read_divergence

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_policy_that_becomes_nan_stops_the_run(world: Path, tmp_path: Path, spread: str):
    folder = tmp_path / "rl"
    done = launch(folder, stage(world, lr=1e30, steps=4), (spread,))
    assert done.returncode != 0, done.stdout[-3000:]
    found = read_divergence(folder)
    assert found is not None, done.stdout[-3000:] + done.stderr[-3000:]
    # The first update leaves weights of 1e30, which are finite; verl would skip every later one and go on.
    assert (found.found, found.step, found.finite, found.checkpoint) == ("actor/loss is nan", 2, 1, None)
    assert found.rows and found.aside == ("diverged-global_step_1",)
    assert [line["step"] for line in lines(folder / "metrics.jsonl")] == [1, 2]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["diverged-global_step_1"]
    assert lines(folder / "rollouts" / "2.jsonl")  # the replies of the step that it stopped at
