"""``mindgpt data run --focus``: matching, budget and questions follow the evaluation; its content is in the stamps."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.cli import build_data_app
from mindgpt_data.focus.branch_file import FocusError
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import check, pipeline, report
from mindgpt_data.steps.settings import SettingsError, load_data_settings
from mindgpt_data.world.folder import write_source_corpus
from support import focus_file
from typer.testing import CliRunner

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.data.config import DataConfig
from mindgpt_plugins.stages.data.stage import DataStage

TREE = Path(check.__file__).parents[1] / "world"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source_corpus(tmp_path_factory.mktemp("corpus"), 120)


def settings(corpus: Path, **more: Any) -> DataSettings:
    trees = {axis: str(TREE / f"{axis}.yaml") for axis in ("knowledge", "capability")}
    return DataSettings.model_validate(
        {
            "images": {"path": str(corpus)},
            "density": {"estimator": "annotations"},
            "tree": trees,
            "budget": {"items": 300, "n_max": 6},
            **more,
        }
    )


def states(work: Work, chosen: DataSettings) -> dict[str, str]:
    heard: dict[str, str] = {}
    pipeline.run(work, chosen, until="generate", listen=lambda step, state, summary: heard.update({step: state}))
    return heard


def rows(work: Work) -> list[Any]:
    return list(work.read_rows(work.candidates, "generate"))


def weak(path: Path, leaf: str = "vehicles.road.bus") -> Path:
    return focus_file.write(
        path,
        ("knowledge", leaf, 0, 300),
        ("knowledge", "vehicles.road.car", 300, 0),
        ("capability", "spatial.position", 300, 0),
    )


def test_a_focused_run_asks_about_what_is_weak_and_as_much(corpus: Path, tmp_path: Path) -> None:
    told = weak(tmp_path / "b.json")
    made = [Work(tmp_path / name) for name in ("plain", "focused")]
    for work, focus in zip(made, (None, str(told)), strict=True):
        assert set(states(work, settings(corpus, focus=focus)).values()) == {"done"}
    budgets = [work.read_budget() for work in made]
    assert [sum(row["items"] for row in budget.values()) for budget in budgets] == [300, 300]
    buses = {r["image"] for r in map(json.loads, (made[0].images).read_text().splitlines()) if "bus" in r["tags"]}
    with_bus = [sum(row["items"] for image, row in budget.items() if image in buses) for budget in budgets]
    assert with_bus[1] > 1.15 * with_bus[0]
    topics = [Counter(row.knowledge for row in rows(work)) for work in made]
    assert topics[1]["vehicles.road.bus"] > 1.3 * topics[0]["vehicles.road.bus"]
    assert topics[1]["vehicles.road.car"] <= topics[0]["vehicles.road.car"]


def test_the_report_shows_what_was_asked_and_what_was_got(corpus: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    for focus in (None, str(weak(tmp_path / "b.json"))):
        chosen = settings(corpus, focus=focus)
        states(work, chosen)
        report.run(work, chosen)
        found = json.loads((work.folder / "report.json").read_text())["focus"]
        page = (work.folder / "report.html").read_text()
        assert (found is None) == (focus is None) == ("<h2>Focus</h2>" not in page)
    assert found["of"] == "generated" and found["weak"]["capability"] == 0
    bus = next(row for row in found["leaves"] if row["leaf"] == "vehicles.road.bus")
    counts = Counter(row.knowledge for row in rows(work) if row.knowledge)
    assert bus["items"] == counts["vehicles.road.bus"]
    assert bus["got"] == pytest.approx(bus["items"] / sum(counts.values()), abs=1e-4)
    assert 1 / len(counts) < bus["asked"] < 1
    assert "vehicles.road.bus" in page.split("<h2>Focus</h2>")[1]


def test_the_steps_are_stamped_with_what_the_file_holds(corpus: Path, tmp_path: Path) -> None:
    told, work = weak(tmp_path / "b.json"), Work(tmp_path / "work")
    states(work, settings(corpus, focus=str(told)))
    moved = shutil.copy(told, tmp_path / "elsewhere.json")
    assert set(states(work, settings(corpus, focus=str(moved))).values()) == {"reused"}
    weak(told, "vehicles.road.truck")
    changed = states(work, settings(corpus, focus=str(told)))
    assert [step for step, state in changed.items() if state == "done"] == ["match", "budget", "generate"]
    again = states(work, settings(corpus, focus={"file": str(told), "target": 0.7}))
    assert again["density"] == "reused" and again["budget"] == again["generate"] == "done"


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(build_data_app(), ["run", *arguments], env={"COLUMNS": "160"})
    return result.exit_code, result.output, result.exception


def test_dry_run_prints_the_weak_leaves_and_runs_nothing(corpus: Path, tmp_path: Path) -> None:
    told, config = weak(tmp_path / "b.json"), tmp_path / "data.yaml"
    config.write_text(json.dumps(settings(corpus).model_dump(mode="json", exclude={"focus"})))
    shared = ["--config", str(config), "--work", str(tmp_path / "work")]
    code, output, _ = run(*shared, "--focus", str(told), "--focus-target", "0.9", "--dry-run")
    assert code == 0
    assert "1 of 3 leaves are weak (lower bound under 0.9" in output
    assert "vehicles.road.bus" in output and "300" in output and "4.00" in output
    assert not (tmp_path / "work").exists()
    for wrong, message in (
        (["--dry-run"], "give --focus FILE"),
        (["--focus-target", "0.5"], "focus.file"),
        (["--focus", str(tmp_path / "no.json")], "No such file"),
        (["--focus", str(told), "budget.allocator=random"], "takes no `weights`"),
        (["--focus", str(told), "--focus-target", "0.001"], "nothing is weak"),
        (["--focus", str(told), "tree.knowledge=builtin"], "not in the label tree of this run"),
    ):
        code, _, error = run(*shared, *wrong)
        assert code == 1 and message in str(error), (wrong, error)
    code, output, _ = run(
        *shared, "--focus", str(told), "--focus-target", "0.001", "--dry-run", "focus.nothing_weak=continue"
    )
    assert code == 0 and "going on without one" in output


def test_a_config_file_may_name_the_focus_beside_it(corpus: Path, tmp_path: Path) -> None:
    weak(tmp_path / "b.json")
    config = tmp_path / "data.yaml"
    config.write_text(f"images: {{path: {corpus}}}\nfocus: b.json\n")
    assert (
        load_data_settings(config, [], {}).focus
        == load_data_settings(config, [], {"focus": {"file": str(tmp_path / "b.json")}}).focus
    )
    assert load_data_settings(config, ["focus.target=0.6"], {}).focus.target == 0.6  # type: ignore[union-attr]
    with pytest.raises(SettingsError, match="unknown key 'tarket'; did you mean 'target'"):
        load_data_settings(config, ["focus.tarket=0.6"], {})


def focus_of(config: Path) -> str:
    """The branch file that the process is told to read."""
    return str(json.loads(config.read_text())["runs"][0]["settings"]["focus"]["file"])


def test_the_stage_takes_an_evaluation_or_a_file(corpus: Path, tmp_path: Path) -> None:
    config = DataConfig.model_validate({"kind": "data", **settings(corpus, focus="eval").model_dump(mode="json")})
    made = DataStage()
    context = Context("data", tmp_path, {"eval": {"branches": "/runs/eval/branches.json"}}, 0)
    made.render(config, context)
    assert focus_of(tmp_path / "config.json") == "/runs/eval/branches.json"
    assert made.check(config, context) == []
    assert "produces: scores" in made.check(config, Context("data", tmp_path, {"eval": {"scores": "x"}}, 0))[0]
    missing = Context("data", tmp_path, {}, 0, recipe_folder=tmp_path)
    made.render(config, missing)
    assert focus_of(tmp_path / "config.json") == str(tmp_path / "eval")


def test_what_is_weak_in_no_tree_of_the_run_stops_it(corpus: Path, tmp_path: Path) -> None:
    told = focus_file.write(tmp_path / "b.json", ("knowledge", "trucks.heavy", 0, 9))
    with pytest.raises(FocusError, match="2 of 2 branches are not in the label tree"):
        pipeline.run(Work(tmp_path / "work"), settings(corpus, focus=str(told)))
    assert not (tmp_path / "work").exists()  # refused before pictures were read and their density was paid for
