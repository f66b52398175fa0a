"""A recipe's mixture and its development sets, rendered for LLaMA-Factory."""

from __future__ import annotations

import json
from pathlib import Path

import lf_assets
import pytest
import yaml
from pydantic import ValidationError

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.sft.config import SFTConfig
from mindgpt_plugins.stages.sft.stage import SFTStage

RAW = {
    "kind": "sft",
    "model": "base",
    "data": ["first/domain", "first/general"],
    "max_steps": 9,
    "batch_size": 4,
    "mixture": {
        "name": "dynamic",
        "options": {
            "weights": {"domain": 1, "general": 0},
            "signal": "eval_accuracy",
            "probes": {"domain": "dev/plain"},
        },
    },
}


def rendered(tmp_path: Path, **change):
    for name in ("first", "dev"):
        lf_assets.write_data(tmp_path / name, size=2)
    (tmp_path / "stage").mkdir()
    inputs = {name: {"datasets": str(tmp_path / name)} for name in ("first", "dev")}
    inputs["base"] = {"model": str(tmp_path)}
    context = Context("x", tmp_path / "stage", inputs, seed=0)
    config = SFTConfig.model_validate({**RAW, **change})
    problems = SFTStage().check(config, context)
    SFTStage().render(config, context)
    return problems, yaml.safe_load((tmp_path / "stage" / "train.yaml").read_text())


def test_development_sets_are_evaluated_one_by_one(tmp_path: Path) -> None:
    problems, train = rendered(tmp_path, eval_data=["dev/plain"], eval_steps=5)
    assert problems == []
    assert (train["dataset"], train["eval_dataset"]) == ("first/domain,first/general", "dev/plain")
    assert (train["eval_strategy"], train["eval_steps"], train["compute_accuracy"]) == ("steps", 5, True)
    assert train["mindgpt"]["media_dirs"]["dev/plain"] == str(tmp_path / "dev")
    assert "dev/plain" in (tmp_path / "stage" / "data" / "dataset_info.json").read_text()


def test_a_signal_that_would_never_come_is_a_problem(tmp_path: Path) -> None:
    problems, train = rendered(tmp_path)
    assert "eval_data in a recipe" in problems[0]
    assert "eval_dataset" not in train


def test_preference_pairs_cannot_be_a_development_set_here(tmp_path: Path) -> None:
    problems, _ = rendered(tmp_path, eval_data=["dev/pairs"])
    assert "'dev/pairs' cannot be used here" in problems[0]


def test_a_development_set_is_listed_once() -> None:
    with pytest.raises(ValidationError, match="twice in `eval_data`"):
        SFTConfig.model_validate({**RAW, "eval_data": ["dev/plain", "dev/plain"]})


def test_a_row_without_a_source_is_named_where_sources_matter(tmp_path: Path) -> None:
    rendered(tmp_path)
    path = next((tmp_path / "first").glob("domain.json*"))
    rows = json.loads(path.read_text())
    del rows[1]["source"]
    path.write_text(json.dumps(rows))
    inputs = {"first": {"datasets": str(tmp_path / "first")}, "base": {"model": str(tmp_path)}}
    raw = {key: value for key, value in RAW.items() if key != "mixture"}
    fixed = {"name": "fixed", "by": "source", "options": {"weights": {"domain": 1, "general": 1}}}
    config = SFTConfig.model_validate({**raw, "mixture": fixed})
    problems = SFTStage().check(config, Context("x", tmp_path / "stage", inputs, seed=0))
    assert any("set 'first/domain': row 1" in line and "has no 'source'" in line for line in problems), problems
