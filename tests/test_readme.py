"""What the README shows works: its reward example is taken from its text and run."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

README = Path(__file__).parent.parent / "README.md"


def block(language: str, start: str) -> str:
    """The first fenced block of a language whose text starts with ``start``."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    found = [text for text in blocks if text.startswith(start)]
    assert len(found) == 1, f"README has {len(found)} {language} blocks that start with {start!r}"
    return found[0]


def test_the_reward_example_is_short_and_scores(tmp_path: Path) -> None:
    from mindgpt_plugins.core.registry import load_plugins
    from mindgpt_plugins.rewards.sdk import Rollout
    from mindgpt_plugins.rewards.suite import RewardConfig, Suite

    code = block("python", "# unit_match.py")
    assert len([line for line in code.splitlines() if line.strip()]) <= 16
    (tmp_path / "unit_match.py").write_text(code)
    recipe = yaml.safe_load(block("yaml", "plugins: [./unit_match.py]"))
    load_plugins([str(tmp_path / recipe["plugins"][0])])
    rewards = recipe["stages"]["rl"]["rewards"]
    suite = Suite({name: RewardConfig.model_validate(value) for name, value in rewards.items()})

    def score(text: str) -> float:
        return suite.score_sample(Rollout(text=text, target="12.5", answer_type="number")).score

    assert score("it measures that. answer: 12.5 mm") == 1.0
    assert score("answer: 12.5 cm") == 0.5  # accuracy is content with the number, unit_match is not
    assert score("answer: no idea") == 0.0


def test_every_verb_in_the_pages_exists() -> None:
    from typer.testing import CliRunner

    from mindgpt_plugins import cli

    documents = [README, *(README.parent / "docs" / name for name in ("cli.md", "data.md", "recipes.md"))]
    text = "".join(path.read_text(encoding="utf-8") for path in documents)
    named = set(re.findall(r"mindgpt ((?:data tree|data|plan|rewards) \w+|[\w-]+)", text)) - {"llamafactory"}
    named = {name for name in named if not name.isupper() and name != "data VERB"}
    assert {"run", "data run", "data generate", "plan cost", "data tree expand"} <= named
    for name in named:
        shown = CliRunner().invoke(cli.build_cli_app(), [*name.split(), "--help"])
        assert shown.exit_code == 0, name


def test_the_gate_in_the_data_docs_is_a_gate() -> None:
    from mindgpt_plugins.core.registry import check_options, get_registered

    text = (README.parent / "docs" / "data.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "docs/data.md", "exec"), {"__name__": "docs_data"})
    check_options("gate", "no_brand_names", ["brands"])
    assert get_registered("gate", "no_brand_names").__doc__
