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

from mindgpt_plugins.testing.contract import RewardContract

__all__ = ["RewardContract"]
