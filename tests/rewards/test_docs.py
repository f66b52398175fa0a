"""The page about rewards says what is."""

import re
from pathlib import Path

import yaml

from mindgpt_plugins.core.builtins import BUILTINS
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.rewards.sdk import find_reward_spec
from mindgpt_plugins.rewards.suite import RewardConfig, Suite

PAGE = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")


def test_the_recipe_of_the_page_is_valid():
    found = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])["rewards"]
    s = Suite({name: RewardConfig.model_validate(config) for name, config in found.items()})
    assert s.weights(0.0)["conciseness"] == 0.0 and s.weights(1.0)["conciseness"] == 0.2


def test_the_table_lists_every_reward_with_its_role():
    rows = re.findall(r"(?m)^\| (`[^|]+`) \| ([a-z, ]+) \|", PAGE)
    listed = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    real = {name: find_reward_spec(name, get_registered("reward", name)) for name in BUILTINS["reward"]}
    assert listed == {n: s.role + (", group" if s.scope == "group" else "") for n, s in real.items()}
