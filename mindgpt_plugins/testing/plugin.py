"""pytest plugin: the options of the contract tests. pytest loads it by its entry point; it imports nothing of ours."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("mindgpt-plugins")
    group.addoption(
        "--mindgpt-reward",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="reward for `pytest --pyargs mindgpt_plugins.testing`; may be given several times",
    )
    group.addoption(
        "--mindgpt-reward-options", default="{}", metavar="JSON", help="options to call the reward with, as JSON"
    )
    group.addoption(
        "--mindgpt-reward-seconds", type=float, default=1.0, metavar="S", help="time budget of one call; default 1"
    )
