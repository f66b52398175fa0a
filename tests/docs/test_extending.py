"""docs/extending.md: every example is written to files as it stands on the page, and really used."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import markdown_pages as pages
import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

from mindgpt_plugins import cli
from mindgpt_plugins.core.registry import get_registered, load_plugins
from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import load_recipe

PAGE = pages.DOCS / "extending.md"
EXAMPLE_DATA = pages.ROOT / "recipes" / "example_data"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files of the page beside the example data; the working directory."""
    assert len(pages.write_files(PAGE, tmp_path)) == 15
    shutil.copytree(EXAMPLE_DATA, tmp_path / "example_data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> str:
    """Run a verb of the command line in this process; returns what it printed."""
    done = CliRunner().invoke(cli.build_cli_app(), arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.output


def problems(recipe: Path) -> list[str]:
    """What the stages of a recipe find wrong before anything runs."""
    planned = plan.make_run_plan(load_recipe(str(recipe)), recipe.parent / "runs")
    return [problem for stage in planned.stages for problem in stage.stage.check(stage.config, stage.context)]


def test_the_reward_scores_recorded_replies(folder: Path) -> None:
    invoke("rewards", "try", "hedging.yaml", "--on", "rollouts.jsonl", "--out", "scored.jsonl")
    scored = [json.loads(line) for line in Path("scored.jsonl").read_text().splitlines()]
    assert [row["score"] for row in scored] == [1.0, 1.0, 0.0]
    assert [row["modulated"] for row in scored] == pytest.approx([1.0, 0.6, 0.0])
    assert [row["components"]["hedging"] for row in scored] == [0.0, 1.0, 1.0]


def test_the_sampler_orders_what_the_plan_shows(folder: Path) -> None:
    assert problems(folder / "hard_first.yaml") == []
    invoke("plan", "curriculum", "hard_first.yaml", "--out", "plan.json")
    (found,) = json.loads(Path("plan.json").read_text()).values()
    steps = found["difficulty"]
    assert found["sampler"] == "hard_first" and len(steps) == 6  # two epochs of six rows, two per step
    assert steps[0] > steps[2] and steps[3] > steps[5]


def test_the_sampler_takes_each_example_once_in_an_order_of_its_own(folder: Path) -> None:
    load_plugins([str(folder / "hard_first.py")])
    from mindgpt_plugins.curriculum.base import CurriculumError, Examples

    examples = Examples([0] * 10, ("only",), difficulty=[i / 10 for i in range(10)])
    sampler = get_registered("sampler", "hard_first")(examples, 0, share=0.3)
    orders = [sampler.order(epoch) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(10)) and set(order[:3]) == {7, 8, 9} for order in orders)
    assert orders[0] != orders[1]
    with pytest.raises(CurriculumError, match="share must be in"):
        get_registered("sampler", "hard_first")(examples, 0, share=0.0)


def test_the_mixture_grows(folder: Path) -> None:
    load_plugins([str(folder / "general_later.py")])
    mixture = get_registered("mixture", "general_later")(("domain", "general"), (90, 30), step=0.5)
    assert [mixture.counts(epoch, 100) for epoch in (0, 1, 2, 3)] == [[100, 0], [50, 50], [0, 100], [0, 100]]


def test_the_loss_is_the_same_however_a_step_is_split(folder: Path) -> None:
    assert problems(folder / "focal_ce.yaml") == []
    from mindgpt_plugins.losses.weighted_ce import IGNORE, WeightedCE

    torch.manual_seed(0)
    logits, labels = torch.randn(4, 6, 11), torch.randint(0, 11, (4, 6))
    labels[:, :2] = IGNORE
    source = torch.tensor([0, 1, 1, 0])
    focal = get_registered("loss", "focal_ce")(("domain", "general"), (0.5, 0.5), gamma=2.0)
    whole = focal(logits, labels, source, focal.normaliser(labels))
    parts = [focal(logits[s], labels[s], source[s], focal.normaliser(labels)).total for s in (slice(0, 1), slice(1, 4))]
    assert torch.allclose(whole.total, parts[0] + parts[1])
    plain = WeightedCE(("domain", "general"), (0.5, 0.5))
    expected = plain(logits, labels, source, plain.normaliser(labels))
    without = get_registered("loss", "focal_ce")(("domain", "general"), (0.5, 0.5), gamma=0.0)
    assert torch.allclose(without(logits, labels, source, without.normaliser(labels)).total, expected.total)
    assert torch.allclose(whole.sums, expected.sums) and whole.total < expected.total


def test_gates_teacher_estimator_and_allocator_make_a_set(folder: Path) -> None:
    invoke("data", "demo", "photos", "--images", "6")
    (command,) = [block for block in pages.read_blocks(PAGE, "bash") if "--plugin my_gates.py" in block]
    arguments = command.replace("\\\n", " ").split("mindgpt data run")[1].replace("'", "").split()
    invoke("data", "run", *arguments, "--until", "filter")
    counts = json.loads(Path("work/steps/budget.json").read_text())
    rows = [json.loads(line) for line in Path("work/candidates.jsonl").read_text().splitlines()]
    assert rows and {row["answer"] for row in rows} == {"yes", "no"}
    assert {row["capability"] for row in rows} == {"perception.existence"} and counts["items"] == 12
    funnel = json.loads(Path("work/steps/filter.json").read_text())["funnel"]
    assert [one["gate"] for one in funnel] == ["input", "rules", "gives_itself_away", "even_yesno"]
    assert funnel[-1]["facts"]["yesno"].keys() == {"yes", "no"}


def test_the_gates_drop_what_they_say(folder: Path) -> None:
    from mindgpt_data.gates import funnel
    from mindgpt_data.gates.batch import Batch
    from mindgpt_data.gates.item import Item
    from mindgpt_data.schema.config import DataSettings
    from mindgpt_data.schema.rows import Row

    load_plugins([str(folder / "my_gates.py")])

    def row(uid: str, question: str, answer: str, answer_type: str = "yesno") -> Item:
        return Item(Row(uid, [], question, answer, f"answer: {answer}", answer_type, "domain", "perception.existence"))

    told = row("told", "is the rockfall sign about rockfall?", "rockfall", "text")
    asked = [row(f"y{i}", "is there a bus?", "yes") for i in range(4)] + [row("n", "is there a car?", "no")]
    (shown,) = re.findall(r"`(filter: \{.*\})`", PAGE.read_text(encoding="utf-8"))
    settings = DataSettings.model_validate({"images": {"path": "photos"}} | yaml.safe_load(shown))
    assert settings.filter.gates[-1].options == {"most": 0.7}

    def never(*tasks: object, **options: object) -> None:
        raise AssertionError("these gates ask no model")

    batch = Batch([told, *asked], {}, settings, folder, ask=never)
    first = funnel.apply_gate("gives_itself_away", batch, {})
    assert [(drop.key, drop.reason) for drop in first.drops] == [("told", "the question contains its answer")]
    second = funnel.apply_gate("even_yesno", batch, {"most": 0.6})
    assert [drop.key for drop in second.drops] == ["y3"] and second.facts == {"yesno": {"yes": 4, "no": 1}}
    assert [item.row.uid for item in batch.items] == ["y0", "y1", "y2", "n"]


def test_the_stage_runs_is_reused_and_runs_again_when_a_key_changes(folder: Path) -> None:
    runs = folder / "runs"
    planned = plan.make_run_plan(load_recipe("vocabulary.yaml"), runs)
    runner.run_plan(planned, Console(quiet=True))
    (stage,) = planned.stages
    words = json.loads(Path(stage.stage.artefacts(stage.config, stage.context)["words"]).read_text())
    assert len(words) == 3
    assert [s.status for s in plan.make_run_plan(load_recipe("vocabulary.yaml"), runs).stages] == ["reuse"]
    (again,) = plan.make_run_plan(load_recipe("vocabulary.yaml", ["stages.words.most=5"]), runs).stages
    assert (again.status, again.reason) == ("run", "changed: most")
    plugin = folder / "vocabulary.py"
    plugin.write_text(plugin.read_text() + "# changed\n")
    from mindgpt_plugins.core import sources

    sources.digest_source.cache_clear()
    assert [s.status for s in plan.make_run_plan(load_recipe("vocabulary.yaml"), runs).stages] == ["run"]


def test_the_stage_names_a_missing_set(folder: Path) -> None:
    (folder / "example_data" / "domain.jsonl").unlink()
    assert [problem.partition(": ")[0] for problem in problems(folder / "vocabulary.yaml")] == ["data"]


def test_the_patch_is_applied_once_and_undone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mindgpt_patches
    from mindgpt_patches import catalog, guard

    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(mindgpt_patches, "__path__", [*mindgpt_patches.__path__, str(folder)])
    host, entry = importlib.import_module("toy_host"), importlib.import_module("entry").entry
    monkeypatch.setitem(catalog.CATALOG, "count_without_lists", entry)
    original = host.count_patches
    try:
        for accelerator, state in ((False, "not needed"), (True, "applied"), (True, "applied")):
            assert catalog.apply_patch("count_without_lists", "auto", accelerator=accelerator).state == state
        assert host.count_patches is not original and host.count_patches.__wrapped__ is original
        assert host.count_patches(100, 60) == original(100, 60) == 18
        assert catalog.resolve_modes({"count_without_lists": "off"}, "dpo")["count_without_lists"] == "off"
        patch = sys.modules["mindgpt_patches.count_without_lists"]
        guard.restore_places(patch.places())
        assert host.count_patches is original
        (folder / "toy_host.py").write_text((folder / "toy_host.py").read_text().replace("// patch", "// 16"))
        importlib.invalidate_caches()
        importlib.reload(host)
        with pytest.raises(mindgpt_patches.PatchRefused, match="not the one this patch is for"):
            catalog.apply_patch("count_without_lists", "on", accelerator=True)
    finally:
        for name in ("toy_host", "entry", "mindgpt_patches.count_without_lists"):
            sys.modules.pop(name, None)


def test_the_entry_point_groups_are_those_of_the_kinds() -> None:
    from mindgpt_plugins.core.registry import KINDS, format_entry_point_group

    text = PAGE.read_text(encoding="utf-8")
    listed = {kind for kind in KINDS if f"`{format_entry_point_group(kind)}`" in text}
    assert listed == set(KINDS) - {"patch"}  # patches are a catalogue of this repository
