"""``mindgpt plan curriculum``: from the real rows, without torch, and equal to what a real run then consumes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lf_assets
import pytest
import yaml

from mindgpt_plugins.cli.plan import curriculum, split_step_spans
from mindgpt_plugins.llamafactory_ext.forecast import Forecast

STAGE = {
    "kind": "sft",
    "model": "world/model",
    "data": ["world/data/domain", "world/data/general"],
    "max_steps": 20,
    "batch_size": 4,
    "lr": 1e-2,
    "freeze_vision_tower": False,
    "cutoff_len": 256,
    "curriculum": "easy_to_hard",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    lf_assets.write_data(folder / "world" / "data")
    (folder / "world" / "model").mkdir()
    return folder


def recipe(folder: Path, **change: Any) -> Path:
    path = folder / "recipe.yaml"
    stage = {key: value for key, value in {**STAGE, **change}.items() if value is not None}
    path.write_text(yaml.safe_dump({"name": "x", "device": "cpu", "stages": {"learn": stage}}))
    return path


def plan(folder: Path, *arguments: str, **change: Any) -> subprocess.CompletedProcess[str]:
    """The real command."""
    path = recipe(folder, **change)
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "plan", "curriculum", str(path), *arguments]
    environment = {**lf_assets.environment(), "PYTHONPATH": "", "COLUMNS": "140"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def planned(folder: Path, **change: Any) -> dict[str, Any]:
    """The plan, in this process."""
    out = folder / "plan.json"
    curriculum(str(recipe(folder, **change)), stage="learn", out=out, uids=True, runs=folder / "runs")
    return json.loads(out.read_text())["learn"]


def test_shares_and_difficulty_are_those_of_the_rows(folder: Path) -> None:
    page = folder / "plan.html"
    done = plan(folder, "--out", "plan.json", "--html", str(page), "--uids")
    assert done.returncode == 0, done.stderr
    assert "easy_to_hard" in done.stdout
    assert "50.0 %" in done.stdout
    found = json.loads((folder / "plan.json").read_text())["learn"]
    rows = {
        row["uid"]: row
        for name in ("domain", "general")
        for row in json.loads((folder / f"world/data/{name}.json").read_text())
    }
    assert (found["steps"], found["steps_per_epoch"], found["rows"]) == (20, 12, 48)
    assert sorted(uid for step in found["uids"][:12] for uid in step) == sorted(rows)
    for i, step in enumerate(found["uids"]):
        assert found["source"]["domain"][i] == sum(rows[uid]["source"] == "domain" for uid in step)
        assert found["difficulty"][i] == pytest.approx(sum(rows[uid]["difficulty"] for uid in step) / 4)
    assert found["difficulty"][0] < 0.3 < 0.7 < found["difficulty"][11]
    html = page.read_text()
    assert "<polyline" in html
    assert "://" not in html  # nothing is loaded from elsewhere


def test_a_schedule_is_shown_as_it_will_be(folder: Path) -> None:
    weights = {"domain": {"kind": "linear", "start": 1, "end": 0}, "general": {"kind": "linear", "start": 0, "end": 1}}
    found = planned(folder, mixture={"name": "scheduled", "options": {"weights": weights}})
    for i, count in enumerate(found["source"]["domain"]):
        assert abs(count - 4 * (1 - i / 19)) < 1


def test_a_dynamic_mixture_says_what_it_does_not_know(folder: Path) -> None:
    found = planned(folder, mixture={"name": "dynamic", "options": {"weights": {"domain": 3, "general": 1}}})
    assert sum(found["source"]["domain"]) == 60
    assert "general 11–48 %" in found["notes"][0]


def test_what_only_training_tells_is_left_out(folder: Path) -> None:
    found = planned(folder, curriculum="self_paced")
    assert len(found["difficulty"]) == 12
    assert "second epoch" in found["notes"][0]
    found = planned(folder, curriculum={"name": "bucketed", "options": {"window": 3}})
    assert found["window"] == 3
    assert "windows of 3 steps" in found["notes"][0]


def test_spans_end_with_epochs_and_windows() -> None:
    one = Forecast(20, 12, 4, 48, "x", None, 1, {}, {}, difficulty=[None] * 20)
    assert split_step_spans(one, 5) == [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20)]
    one.window = 5
    assert split_step_spans(one, 99) == [(0, 5), (5, 10), (10, 12), (12, 17), (17, 20)]
    one.steps_per_epoch, one.window = 1, 1
    assert split_step_spans(one, 4) == [(0, 5), (5, 10), (10, 15), (15, 20)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curriculum": None}, "the order is the host's own shuffle"),
        (
            {"mixture": {"name": "fixed", "options": {"weights": {"domian": 1}}}},
            "no examples come from 'domian'; did you mean 'domain'?",
        ),
        ({"mixture": {"name": "fixed", "options": {"weights": {"domain": -1}}}}, "must be a number >= 0, got -1"),
        ({"mixture": {"name": "scheduled", "options": {"weights": {"domain": 0}}}}, "all weights are zero"),
        ({"llamafactory": {"val_size": 0.1}}, "cannot follow val_size"),
        ({"llamafactory": {"dataloader_drop_last": True}}, "dataloader_drop_last"),
        ({"curriculum": "self_paced", "max_steps": 12}, "the run has one epoch"),
        (
            {
                "dataloader_workers": 8,
                "mixture": {"name": "dynamic", "options": {"weights": {"domain": 1, "general": 0}}},
            },
            "at least 17",
        ),
        (
            {"mixture": {"name": "fixed", "options": {"weights": {"domain": 1}}}},
            "24 of 48 rows come from 'general', which no weight names, so they would never be trained on. Give",
        ),
        ({"data": ["world/data/missing"]}, "lists no set 'missing'"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, RuntimeError)) as stopped:
        planned(folder, **change)
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize(("value", "message"), [(None, "is empty in a row"), ("NaN", "must be a finite number")])
def test_a_missing_difficulty_names_its_row(tmp_path: Path, value: Any, message: str) -> None:
    lf_assets.write_data(tmp_path / "world" / "data", size=4)
    (tmp_path / "world" / "model").mkdir()
    path = tmp_path / "world" / "data" / "general.json"
    rows = json.loads(path.read_text())
    rows[2]["difficulty"] = value
    path.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=f"dataset 'world/data/general'.*{message}"):
        planned(tmp_path)


def test_an_unknown_stage_and_a_stage_without_data(folder: Path) -> None:
    done = plan(folder, "--stage", "lern")
    assert done.returncode == 2
    assert "did you mean 'learn'" in done.stderr
    with pytest.raises(ValueError, match="nowhere has no dataset_info.json"):
        planned(folder, llamafactory={"dataset_dir": "nowhere"})


def test_it_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; from mindgpt_plugins.cli.plan import curriculum;"
        f"curriculum({str(recipe(folder))!r}, stage='learn');"
        "sys.exit(str([m for m in ('torch', 'transformers', 'llamafactory') if m in sys.modules]))"
    )
    environment = {**lf_assets.environment(), "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "change",
    [
        {"curriculum": {"name": "easy_to_hard", "options": {"paced_epochs": None}}, "gradient_accumulation": 2},
        {
            "mixture": {
                "name": "scheduled",
                "options": {"weights": {"domain": {"kind": "cosine", "start": 4, "end": 0}, "general": 1}},
            }
        },
        {
            "data": [{"set": "world/data/domain", "weight": 3}, {"set": "world/data/general", "weight": 1}],
            "workers": 2,
            "batch_size": 10,  # 48 rows do not divide: the ranks' last batches are filled up
            "max_steps": 12,
            "dataloader_workers": 1,
        },
    ],
    ids=["epochs", "scheduled", "ranks"],
)
def test_the_plan_printed_beforehand_is_what_happened(world: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "world").symlink_to(world)
    found = planned(tmp_path, trace=True, **change)
    path = recipe(tmp_path, trace=True, **change)
    runs = tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(path), "--runs", str(runs)],
        env={**lf_assets.environment(), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    happened: dict[int, list[dict[str, Any]]] = {}
    for trace in runs.glob("stages/learn-*/trace.rank*.jsonl"):
        for line in map(json.loads, trace.read_text().splitlines()):
            happened.setdefault(line["step"], []).extend(
                {"uid": uid, "source": source} for uid, source in zip(line["uid"], line["source"], strict=True)
            )
    assert sorted(happened) == list(range(1, found["steps"] + 1))
    for step, rows in happened.items():
        assert sorted(row["uid"] for row in rows) == sorted(found["uids"][step - 1])
        for name, counts in found["source"].items():
            assert counts[step - 1] == sum(row["source"] == name for row in rows)
    (metrics,) = runs.glob("stages/learn-*/metrics.jsonl")
    for line in map(json.loads, metrics.read_text().splitlines()):
        if "difficulty" in line:
            assert line["difficulty"] == pytest.approx(found["difficulty"][line["step"] - 1], abs=1e-5)
