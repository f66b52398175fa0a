"""Contract tests for rewards that are not ours.

On the command line, for a reward that can be imported::

    pytest --pyargs mindgpt_plugins.testing --mindgpt-reward my_pkg.rewards:unit_match

or as a test class of your own package, with your options and examples::

    from mindgpt_plugins.testing import RewardContract
    from my_pkg.rewards import unit_match

    class TestUnitMatch(RewardContract):
        reward = unit_match
        options: ClassVar = {"rel_tol": 0.01}
        examples: ClassVar = [(Rollout("answer: 5 m", "500 cm"), 1.0)]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindgpt_plugins.testing.contract import RewardContract

__all__ = ["RewardContract"]


def __getattr__(name: str) -> Any:
    # On first use: pytest imports this package in every session of an environment we are installed in.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    pytest.register_assert_rewrite(f"{__name__}.contract")  # failed asserts then show their values
    from mindgpt_plugins.testing import contract

    return contract.RewardContract
