"""The contract accepts our rewards and refuses broken ones, each for its own reason."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mindgpt_plugins.core.builtins import BUILTINS

THIRD_PARTY = Path(__file__).parents[1] / "third_party_plugin" / "src"
BROKEN = """
import random
import time
from mindgpt_plugins.rewards.sdk import Group, Rollout, Score, reward

@reward
def fine(r: Rollout, *, credit: float = 1.0) -> float | None:
    return None if r.type == "open" else credit * (r.target in r.text)

@reward
async def fine_async(r: Rollout) -> float:
    return 0.5

@reward
def swallows(r: Rollout, **options) -> float:
    return 0.0

@reward
def demands(r: Rollout, *, unit: str) -> float:
    return 0.0

@reward
def dices(r: Rollout) -> float:
    return random.random()

@reward
def divides(r: Rollout) -> float:
    return 1 / len(r.text.split())

@reward
def too_much(r: Rollout) -> float:
    return float(len(r.text))

@reward
def answers_in_words(r: Rollout) -> str:
    return "good"

@reward
def busy(r: Rollout) -> float:
    end = time.process_time() + (0.0 if r.text else 0.3)
    while time.process_time() < end:  # busy: time asleep does not count
        pass
    return 0.0

@reward(role="modulator", scope="group")
def first_only(group: Group) -> list:
    return [1.0]

@reward(role="modulator", scope="group")
def by_place(group: Group) -> list:
    return [i / len(group.rollouts) for i in range(len(group.rollouts))]

@reward
def not_json(r: Rollout) -> Score:
    return Score(1.0, log={(1, 2): 3})

def undecorated(r: Rollout) -> float:
    return 1.0

if __name__ != "broken_rewards":
    raise ImportError("only by its own name")
"""


def contract(folder: Path, *arguments: str) -> tuple[int, str]:
    (folder / "broken_rewards.py").write_text(BROKEN)
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "mindgpt_plugins.testing.plugin", "-p", "no:cacheprovider"),
        *("--pyargs", "mindgpt_plugins.testing", *arguments),
    ]
    path = os.pathsep.join([str(folder), str(THIRD_PARTY), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "600"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def rewards(*names: str) -> list[str]:
    return [argument for name in names for argument in ("--mindgpt-reward", name)]


BROKEN_ONES = {
    "swallows": ("unknown_options", "DID NOT RAISE"),
    "demands": ("registered", "options without a default: ..unit"),
    "dices": ("deterministic", "assert"),
    "divides": ("finite", "empty: reward 'divides', sample .*raised ZeroDivisionError"),
    "too_much": ("finite", "must return a number from 0 to 1"),
    "answers_in_words": ("finite", "returned 'good'"),
    "busy": ("time", "more than 0.2 s"),
    "first_only": ("finite", "one Score or None per reply .16 here"),
    "by_place": ("order", "mixed"),
    "not_json": ("finite", "TypeError"),
    "undecorated": ("registered", "write `@reward`"),
    "missing": ("registered", "has no attribute 'missing'"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    names = [f"broken_rewards:{name}" for name in ("fine", "fine_async", *BROKEN_ONES)]
    code, told = contract(tmp_path_factory.mktemp("c"), *rewards(*names), "--mindgpt-reward-seconds", "0.2", "-rA")
    assert code == 1, told
    return told


@pytest.mark.parametrize("name", ["fine", "fine_async"])
def test_a_sound_reward_passes(told: str, name: str):
    outcomes = re.findall(rf"(?m)^(PASSED|FAILED|ERROR) .*\[broken_rewards:{name}\]", told)
    assert outcomes == ["PASSED"] * 6  # no group, no examples


@pytest.mark.parametrize("name", BROKEN_ONES)
def test_a_broken_one_fails_for_its_reason(told: str, name: str):
    test, why = BROKEN_ONES[name]
    assert re.search(rf"(?m)^(FAILED|ERROR) .*{test}.*\[broken_rewards:{name}\] - .*{why}", told), told


def test_a_name_without_a_module_is_refused(tmp_path: Path):
    code, told = contract(tmp_path, *rewards("unit_match"), "-k", "registered")
    assert code != 0 and "is not of the form module:name" in told


def test_every_reward_of_ours_and_the_example_package_keep_the_contract(tmp_path: Path):
    own = [t for name, t in BUILTINS["reward"].items() if name not in ("judge", "overlong")]
    code, told = contract(tmp_path, *rewards(*own, "mindgpt_example_reward.rewards:mentions_target"))
    assert code == 0, told
    options = ("--mindgpt-reward-options", '{"limit": 64, "soft": 16}')
    code, told = contract(tmp_path, *rewards(BUILTINS["reward"]["overlong"]), *options)
    assert code == 0, told
