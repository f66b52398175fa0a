"""What docs/advantage.md shows is what the code does."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.builtins import BUILTINS
from mindgpt_plugins.core.registry import load_plugins
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "advantage.md").read_text(encoding="utf-8")


def test_the_table_and_the_picture_are_current():
    spec = importlib.util.spec_from_file_location(
        "advantage_spread", ROOT / "benchmarks" / "rl" / "advantage_spread.py"
    )
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = script.spreads()
    assert "\n".join(script.table(found)) in TEXT
    assert (ROOT / "docs" / "advantage.svg").read_text(encoding="utf-8") == script.picture(found)


def test_every_named_advantage_has_its_row():
    assert set(BUILTINS["advantage"]) == set(re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.MULTILINE))


def test_the_numbers_of_the_python_example():
    example = re.search(
        r"^import torch\n.*?^compute_pass_at_k_advantage\(rewards, k=2\)  # (.*?)$", TEXT, re.MULTILINE | re.DOTALL
    )
    assert example
    scope: dict = {}
    exec(example[0], scope)
    got = scope["compute_pass_at_k_advantage"](scope["rewards"], k=2)
    assert torch.allclose(got, torch.tensor(eval(example[1]), dtype=torch.float64), atol=1e-3)


def test_an_advantage_of_ones_own(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    code = re.search(r"^# my_advantages\.py.*?(?=^```)", TEXT, re.MULTILINE | re.DOTALL)
    assert code
    (tmp_path / "my_advantages.py").write_text(code[0])
    load_plugins([str(tmp_path / "my_advantages.py")])
    suite = Suite({"accuracy": RewardConfig()})
    own = Hybrid(suite, AdvantageConfig.model_validate({"name": "signed", "options": {"step": 0.5}}))
    batch = [ScoredReply("g", i, Rollout("t", "t"), float(i == 0), {"accuracy": float(i == 0)}) for i in range(4)]
    assert own.run(batch).advantages == [0.5, -0.5, -0.5, -0.5]
    with pytest.raises(ValueError, match="no option 'stepp'; did you mean 'step'"):
        Hybrid(suite, AdvantageConfig.model_validate({"name": "signed", "options": {"stepp": 0.5}}))
