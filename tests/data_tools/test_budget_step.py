import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.budget.spare import choose_within_budget
from mindgpt_data.cli import budget as verb
from mindgpt_data.io.work import DENSITY_COLUMNS, Work
from mindgpt_data.schema.config import AllocatorChoice, BudgetSettings, DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.steps import budget as step
from pydantic import ValidationError
from typer.testing import CliRunner

from mindgpt_plugins.core.files import write_jsonl, write_table


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


def test_every_source_has_its_own_total(tmp_path) -> None:
    work, settings = _measured(tmp_path, [0.1, 0.9, 0.2, 0.8, 0.3, 0.7])
    records = [ImageRecord(f"{i}.png", [f"{i}.png"], 9, 9, str(i), source="ab"[i % 2]) for i in range(6)]
    write_jsonl(work.images, (record.to_json() for record in records))
    step.run(work, settings.model_copy(update={"budget": BudgetSettings(sources={"a": 5, "b": 20})}))
    counts = [row["items"] for row in work.read_budget().values()]
    assert (sum(counts[::2]), sum(counts[1::2])) == (5, 20)
    step.run(work, settings.model_copy(update={"budget": BudgetSettings(sources={"a": 5})}))
    counts = [row["items"] for row in work.read_budget().values()]
    assert (sum(counts[::2]), counts[1::2]) == (5, [7, 7, 6]), "a source without a total follows the formula"
    with pytest.raises(BudgetError, match="no image has the source 'c'; there are: a, b"):
        step.run(work, settings.model_copy(update={"budget": BudgetSettings(sources={"c": 5})}))
    with pytest.raises(ValidationError, match="items is the total of all sources"):
        BudgetSettings(items=4, sources={"a": 4})


@given(
    budget=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 4), min_size=1),
    written=st.lists(st.sampled_from("abcdef"), max_size=40),
    seed=st.integers(0, 9),
)
def test_spare_questions_fill_what_is_missing_and_no_more(budget, written, seed) -> None:
    asked = [(f"u{i}", image) for i, image in enumerate(written)]
    pool = {image: "x" if image in "abc" else "y" for image in "abcdef"}
    kept = choose_within_budget(asked, budget, pool, seed)
    for name in "xy":
        own = [(uid, image) for uid, image in asked if pool[image] == name]
        total = sum(n for image, n in budget.items() if pool[image] == name)
        assert len(kept & {uid for uid, _ in own}) == min(total, len(own)), "totals are met where there is enough"
        for image, n in budget.items():
            first = [uid for uid, other in own if other == image][:n]
            assert set(first) <= kept, "an image keeps its best questions"
    assert kept == choose_within_budget(asked, budget, pool, seed)


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
