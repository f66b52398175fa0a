"""``pytest --pyargs mindgpt_plugins.testing --mindgpt-reward my_pkg.rewards:unit_match``."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from mindgpt_plugins.testing import RewardContract


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test once per reward of the command line."""
    metafunc.parametrize(
        "target", metafunc.config.getoption("--mindgpt-reward", default=[]), indirect=True, scope="class"
    )


class TestReward(RewardContract):
    """The contract, for the rewards of the command line."""

    @pytest.fixture(autouse=True)
    def target(self, request: pytest.FixtureRequest) -> Any:
        """Import the reward; a module or name that is not there is an error."""
        module, _, name = request.param.partition(":")
        if not name:
            raise pytest.UsageError(f"--mindgpt-reward {request.param!r} is not of the form module:name")
        type(self).reward = staticmethod(getattr(import_module(module), name))
        type(self).options = json.loads(request.config.getoption("--mindgpt-reward-options"))
        type(self).seconds = request.config.getoption("--mindgpt-reward-seconds")
        return type(self).reward
