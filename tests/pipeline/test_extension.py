"""A gate that extends: what the recipe becomes, and a run whose gates fail on command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.pipeline import extension, plan, runner
from mindgpt_plugins.recipe.loading import validate_recipe
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.base import Command, Stage
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig
from mindgpt_plugins.stages.sft.config import SFTConfig

TRAIN = {"batch_size": 4, "max_steps": 100}


def recipe(tmp_path: Path, gate: dict[str, Any] | None = None, **stages: Any) -> Recipe:
    (tmp_path / "data").mkdir(exist_ok=True)
    listing = tmp_path / "data" / "dataset_info.json"
    if not listing.exists():  # its time stamp is part of the stages' hashes
        listing.write_text('{"x": {"file_name": "x.json"}}')
    asked = {"before": "eval_base", "on_fail": "extend", "extend": {"steps": 7, "times": 2}, **(gate or {})}
    restore = {"kind": "sft", "model": "hub/base", "data": ["data/x"], "kl": {"sources": ["general"]}, **TRAIN}
    content = {
        "eval_base": {"kind": "evaluate", "model": "hub/base", "sets": ["data/dev"]},
        "restore": restore,
        "eval_restore": {"kind": "evaluate", "model": "restore", "sets": ["data/dev"], "gate": asked},
        "pairs": {"kind": "preference_pairs", "model": "restore", "prompts": ["data/x"]},
        "align": {"kind": "dpo", "model": "restore", "data": ["pairs/align"], "epochs": 1},
        "eval_align": {
            "kind": "evaluate",
            "model": "align",
            "sets": ["data/dev"],
            "gate": {"before": "eval_base", "peak": "eval_restore"},
        },
        **stages,
    }
    return validate_recipe({"name": "r", "device": "cpu", "stages": content}, tmp_path / "r.yaml")


def test_one_round_is_put_behind_the_gate_and_later_stages_follow_it(tmp_path: Path) -> None:
    before = recipe(tmp_path)
    after = extension.extend_recipe(before, "eval_restore")
    assert list(after.stages) == [
        *("eval_base", "restore", "eval_restore", "restore.more1", "eval_restore.more1"),
        *("pairs", "align", "eval_align"),
    ]
    more, judged = after.stages["restore.more1"], after.stages["eval_restore.more1"]
    assert isinstance(more, SFTConfig) and isinstance(judged, EvaluateConfig) and judged.gate is not None
    assert (more.model, more.max_steps, more.epochs, more.seed) == ("restore", 7, None, 1)
    assert more.kl is not None and more.kl.reference == "hub/base"  # as before, not the model it goes on from
    assert (judged.model, judged.gate.extend and judged.gate.extend.times) == ("restore.more1", 1)
    assert after.inputs("pairs") == ["restore.more1"] and after.inputs("align") == ["restore.more1", "pairs"]
    assert after.inputs("eval_align") == ["eval_base", "eval_restore.more1", "align"]
    assert all(after.stages[name] == before.stages[name] for name in ("eval_base", "restore", "eval_restore"))
    twice = extension.extend_recipe(after, "eval_restore.more1")
    last = twice.stages["eval_restore.more2"]
    assert isinstance(last, EvaluateConfig) and last.gate is not None
    assert (last.model, last.gate.on_fail, last.gate.extend) == ("restore.more2", "stop", None)
    assert twice.inputs("restore.more2") == ["restore.more1"] and twice.inputs("pairs") == ["restore.more2"]


def test_dpo_keeps_its_reference(tmp_path: Path) -> None:
    gate = {"before": "eval_base", "on_fail": "extend", "extend": {"steps": 5}}
    judged = {"kind": "evaluate", "model": "align", "sets": ["data/dev"], "gate": gate}
    after = extension.extend_recipe(recipe(tmp_path, eval_align=judged), "eval_align")
    more = after.stages["align.more1"]
    assert (more.model, more.reference, more.max_steps, more.epochs) == ("align", "restore", 5, None)


@pytest.mark.parametrize("gate", [{"extend": None}, {"on_fail": "stop"}])
def test_extend_needs_its_settings_and_the_other_way_round(gate: dict[str, Any]) -> None:
    asked = {"before": "e", "on_fail": "extend", "extend": {"steps": 7}, **gate}
    with pytest.raises(ValidationError, match="and only then"):
        EvaluateConfig.model_validate({"kind": "evaluate", "model": "m/m", "sets": ["d/dev"], "gate": asked})


def test_only_what_is_trained_here_can_be_extended(tmp_path: Path) -> None:
    gate = {"before": "eval_base", "on_fail": "extend", "extend": {"steps": 7}}
    wrong = {"kind": "evaluate", "model": "hub/base", "sets": ["data/dev"], "gate": gate}
    with pytest.raises(
        StageError, match=r"stages.eval_restore: .*'hub/base' is no stage of this recipe that can be trained further"
    ):
        plan.make_run_plan(recipe(tmp_path, eval_restore=wrong, eval_align=None), tmp_path / "runs")


WRITE = """
import json, pathlib, sys
kind, verdict = sys.argv[1:]
if kind == "evaluate":
    pathlib.Path("scores.json").write_text(json.dumps({"gate": {"verdict": verdict}}))
    pathlib.Path("predictions.jsonl").touch()
    pathlib.Path("branches.json").write_text("{}")
else:
    pathlib.Path("summary.json").touch()
    for name in ("model", "datasets"):
        pathlib.Path(name).mkdir(exist_ok=True)
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stages that only leave their artefacts; gates give the verdict written here under the stage's name."""
    verdicts: dict[str, str] = {}

    def render(self: Stage[Any], config: Any, context: Any) -> list[Command]:
        return [Command(("-c", WRITE, config.kind, verdicts.get(context.name, "passed")))]

    for kind in ("evaluate", "sft", "dpo", "preference_pairs"):
        monkeypatch.setattr(get_registered("stage", kind), "render", render)
    monkeypatch.setattr(runner, "check_data", lambda stage: [])
    return verdicts


def done(folder: Path) -> list[str]:
    return [stage["name"] for stage in read_json(folder / "manifest.json")["stages"]]


def run(tmp_path: Path, **options: Any) -> Path:
    planned = plan.make_run_plan(recipe(tmp_path), tmp_path / "runs", **options)
    return runner.run_plan(planned, Console(quiet=True))


PLAIN = ["eval_base", "restore", "eval_restore", "pairs", "align", "eval_align"]


def test_a_gate_that_passes_adds_nothing(tmp_path: Path, scripted: dict[str, str]) -> None:
    assert done(run(tmp_path)) == PLAIN


def test_a_failed_gate_is_extended_until_it_passes(tmp_path: Path, scripted: dict[str, str]) -> None:
    scripted["eval_restore"] = "failed"
    folder = run(tmp_path)
    assert done(folder) == [*PLAIN[:3], "restore.more1", "eval_restore.more1", *PLAIN[3:]]
    record = read_json(next((tmp_path / "runs" / "stages").glob("align-*")) / "stage.json")
    assert list(record["inputs"]) == ["restore.more1", "pairs"]
    again = plan.make_run_plan(recipe(tmp_path), tmp_path / "runs")
    assert again.run == folder and {stage.status for stage in again.stages} == {"reuse"}
    assert (tmp_path / "runs" / "r").resolve() == folder


def test_no_more_than_asked_for(tmp_path: Path, scripted: dict[str, str]) -> None:
    scripted |= {"eval_restore": "failed", "eval_restore.more1": "failed", "eval_restore.more2": "failed"}
    folder = run(tmp_path, until="eval_restore")
    assert [n for n in done(folder) if "more" in n] == [
        *("restore.more1", "eval_restore.more1", "restore.more2", "eval_restore.more2")
    ]
    statuses = {stage["name"]: stage["status"] for stage in read_json(folder / "manifest.json")["stages"]}
    assert statuses["eval_restore.more2"] == "done" and statuses["pairs"] == "pending"


def test_fresh_runs_each_stage_once(tmp_path: Path, scripted: dict[str, str]) -> None:
    scripted["eval_restore"] = "failed"
    run(tmp_path)
    scripted["eval_restore"] = "failed"
    folder = run(tmp_path, fresh=True)
    stages = read_json(folder / "manifest.json")["stages"]
    assert [s["status"] for s in stages if s["name"] in ("restore.more1", "align")] == ["done", "done"]
    # eval_base, restore and eval_restore under the first plan, the rest under the second: one new folder each.
    made = [path.name.split("-")[0] for path in (tmp_path / "runs" / "stages").iterdir()]
    assert all(made.count(stage["name"]) == 2 for stage in stages)
