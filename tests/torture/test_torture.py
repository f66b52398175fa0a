"""The torture run itself, on its two cheapest kinds: nothing is lost, stuck, silent or left."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_two_cheap_kinds_hold(tmp_path: Path) -> None:
    from torture import DISTURBANCES, torture

    results = torture(tmp_path / "torture", ["world", "data"], list(DISTURBANCES), kills=2)
    failures = [(one.kind, trial.what, trial.failures) for one in results for trial in one.trials if trial.failures]
    assert failures == []
    assert {(one.kind, one.disturbance) for one in results} == {(k, d) for k in ("world", "data") for d in DISTURBANCES}
    tried = {one.disturbance: one.count()["tried"] for one in results if not one.not_run}
    assert tried["kills"] == 2 and tried["damage"] == 5
