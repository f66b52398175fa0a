"""A whole rehearsal with both hosts, two ranks each: an 8B model without weights, supervised, then RL. Minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("llamafactory")
pytest.importorskip("transfer_queue")

from rehearse_assets import MODEL  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from mindgpt_plugins.cli import build_cli_app  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_an_8b_recipe_is_proven_without_its_weights(user: Path) -> None:
    arguments = [
        "rehearse",
        str(user / "mine.yaml"),
        "--runs",
        str(user / "runs"),
        "--model",
        f"{MODEL}={user / 'hub'}",
    ]
    result = CliRunner().invoke(build_cli_app(), arguments)
    found = json.loads((user / "runs" / "rehearse" / "mine" / "rehearsal.json").read_text())
    assert result.exit_code == 0, result.output
    states = {(one["stage"], one["topic"]): one["state"] for one in found["findings"]}
    for stage in ("domain", "rl"):
        for topic in ("resume", "metrics", "hand-over", "weights", "patches"):
            assert states[(stage, topic)] == "proven", (stage, topic)
    assert states[("domain", "chat template")] == states[("rl", "rewards")] == states[("rl", "rollouts")] == "proven"
    assert any(one["topic"] == "export" and one["state"] == "proven" for one in found["findings"])
    assert found["models"][MODEL]["original_parameters"] > 8e9 > 1e8 > found["models"][MODEL]["parameters"]
    assert any("vLLM rollouts" in means for means in found["not_on_cpu"])
    assert sum(one["gpu_hours"] for one in found["cost"]) > 0
