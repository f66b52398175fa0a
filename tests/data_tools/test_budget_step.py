import pytest
import typer
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.cli import budget as verb
from mindgpt_data.io.work import DENSITY_COLUMNS, Work
from mindgpt_data.schema.config import AllocatorChoice, BudgetSettings, DataSettings
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.steps import budget as step
from typer.testing import CliRunner

from mindgpt_plugins.core.files import write_table


def _measured(folder, scores) -> tuple[Work, DataSettings]:
    work = Work(folder)
    rows = [{"image": f"{i}.png", "subjects": 5 * s, "spatial": 1.0, "text": 0.0, "knowledge": 0.5, "ids": s}
            for i, s in enumerate(scores)]  # fmt: skip
    write_table(work.density, rows, DENSITY_COLUMNS)
    return work, DataSettings.model_validate({"images": {"path": "x"}})


def test_the_step_meets_a_corpus_budget_exactly_and_splits_it_over_families(tmp_path) -> None:
    work, settings = _measured(tmp_path, [0.1, 0.5, 0.9])
    settings = settings.model_copy(update={"budget": BudgetSettings(items=12)})
    summary = step.run(work, settings)
    found = work.read_budget()
    assert list(found) == ["0.png", "1.png", "2.png"]
    assert sum(row["items"] for row in found.values()) == summary["items"] == 12
    assert all(row["items"] == sum(row[d] for d in SUB_SCORES) for row in found.values())
    assert found["0.png"]["items"] < found["2.png"]["items"]
    assert sum(row["text"] for row in found.values()) == 0


def test_the_step_without_a_corpus_budget_uses_the_formula_per_image(tmp_path) -> None:
    work, settings = _measured(tmp_path, [0.0, 0.5, 1.0])
    assert step.run(work, settings)["per_image"] == {"1": 1, "4": 1, "8": 1}
    first = work.budget.read_bytes()
    step.run(work, settings)
    assert work.budget.read_bytes() == first


def test_the_step_says_what_a_budget_may_be(tmp_path) -> None:
    work, settings = _measured(tmp_path, [0.0, 0.5, 1.0])
    with pytest.raises(BudgetError, match="between 3 and 24"):
        step.run(work, settings.model_copy(update={"budget": BudgetSettings(items=25)}))
    with pytest.raises(ValueError, match=r"set budget\.items"):
        step.run(
            work, settings.model_copy(update={"budget": BudgetSettings(allocator=AllocatorChoice(name="uniform"))})
        )
    assert not work.budget.exists()


def test_random_allocation_in_the_step_depends_on_the_seed(tmp_path) -> None:
    work, settings = _measured(tmp_path, [i / 20 for i in range(20)])
    settings = settings.model_copy(
        update={"budget": BudgetSettings(allocator=AllocatorChoice(name="random"), items=80)}
    )
    counts = []
    for seed in (1, 1, 2):
        step.run(work, settings, seed=seed)
        counts.append([row["items"] for row in work.read_budget().values()])
    assert counts[0] == counts[1] != counts[2]


def test_the_verb_prints_a_histogram(tmp_path) -> None:
    _measured(tmp_path, [0.0, 0.5, 1.0])
    app = typer.Typer()
    app.callback()(lambda: None)
    verb.add(app)
    result = CliRunner().invoke(app, ["budget", "images.path=x", "budget.items=10", "--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "10 QA over 3 images" in result.output
