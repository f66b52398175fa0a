"""The rendered world through the ordinary steps: budgets, disjoint sets, determinism, kill -9 and resume."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import read_set
from mindgpt_data.steps.pipeline import STEPS
from mindgpt_data.world.__main__ import render_corpora
from mindgpt_data.world.config import WorldSettings
from mindgpt_data.world.folder import read_groups, write_corpus
from pydantic import ValidationError
from support.world_run import kill_world, run_world

from mindgpt_plugins.core.files import read_jsonl
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.world.config import WorldConfig
from mindgpt_plugins.stages.world.stage import WorldStage

SETS: dict[str, Any] = {
    "train": {"sources": {"general": {"images": 40, "items": 100, "skew": 2}, "domain": {"images": 30, "items": 70}}},
    "more": {"sources": {"general": {"images": 30}}},
    "dev": {"split": "dev", "sources": {"general": {"images": 40, "items": 40}}},
    "test": {"split": "test", "sources": {"domain": {"images": 30, "items": 30, "unseen": 0.5}}},
}
SMALL: dict[str, Any] = {
    "t": {"sources": {"general": {"images": 5, "items": 9}, "domain": {"images": 4, "items": 9}}},
    "d": {"split": "dev", "sources": {"domain": {"images": 6, "items": 6}}},
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    run_world(folder, SETS)
    return folder


def test_budgets_are_met_exactly_and_rows_carry_every_label(stage: Path) -> None:
    report = json.loads((stage / "data_report.json").read_text())
    for name, one in SETS.items():
        rows = read_set(stage / "datasets", name)
        for source, scenes in one["sources"].items():
            own = [row for row in rows if row.source == source]
            assert len({row.image[0] for row in own}) <= scenes["images"]
            if "items" in scenes:
                assert len(own) == scenes["items"]
        summary = report["sets"][name]
        assert summary["items"] == len(rows)
        assert summary["split"] == one.get("split", "train") == rows[0].split
        assert all(d["reason"] and d["examples"] for d in summary["funnel"]["dropped"])
        assert summary["capability"] == Counter(row.capability for row in rows)
        assert sum(summary["ids_histogram"]) == summary["images"]
        asked = [(row.image[0], row.question) for row in rows]
        assert len(set(asked)) == len(asked)
        for row in rows:
            assert row.response.endswith(f"answer: {row.answer}")
            assert 0 < row.ids < 1
            assert row.source == "domain" or row.knowledge is None
    rows = [row for name in SETS for row in read_set(stage / "datasets", name)]
    assert len({row.uid for row in rows}) == len(rows)
    domain = [row for row in rows if row.source == "domain"]
    # Three topics are matched at most, and a scene may hold four things.
    assert sum(row.knowledge is not None for row in domain) > 0.9 * len(domain)
    verbose = sum(not row.response.startswith("answer:") for row in rows) / len(rows)
    assert 0.2 < verbose < 0.4
    assert max(row.difficulty for row in rows) > 0.8 > 0.2 > min(row.difficulty for row in rows)


def test_no_picture_and_no_scene_is_in_two_sets(stage: Path) -> None:
    images = {name: {i for row in read_set(stage / "datasets", name) for i in row.image} for name in SETS}
    groups = {name: read_groups(stage / "corpora" / name / "manifest.jsonl") for name in SETS}
    for one, other in itertools.combinations(SETS, 2):
        assert not images[one] & images[other]
        assert not groups[one] & groups[other]


def test_a_training_picture_that_is_held_out_is_dropped_by_the_ordinary_gate(stage: Path, tmp_path: Path) -> None:
    """Pictures are put where the renderer would not draw them: the gate has to see it by itself."""
    config = WorldConfig.model_validate({"kind": "world", "sets": SMALL})
    stage_ = WorldStage()
    scenes, steps = stage_.render(config, Context("world", tmp_path, {}, 0))
    render_corpora(WorldSettings.model_validate({"sets": SMALL}), 0, tmp_path / "corpora")
    train, held_out = tmp_path / "corpora" / "t", tmp_path / "corpora" / "d"
    (train / "t-domain-00000.png").write_bytes((held_out / "d-domain-00000.png").read_bytes())
    told = {data["image"]: data for _, data in read_jsonl(held_out / "manifest.jsonl")}["d-domain-00000.png"]
    lines = [
        {**told, "image": data["image"]} if data["image"] == "t-domain-00000.png" else data
        for _, data in read_jsonl(train / "manifest.jsonl")
    ]
    (train / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    subprocess.run([sys.executable, "-m", "mindgpt_data", steps.argv[2]], cwd=tmp_path, check=True)
    shown = {image for row in read_set(tmp_path / "datasets", "t") for image in row.image}
    assert not shown & {image for row in read_set(tmp_path / "datasets", "d") for image in row.image}
    dropped = json.loads((tmp_path / "data_report.json").read_text())["sets"]["t"]["funnel"]["dropped"]
    assert any(d["gate"] == "decontaminate" and d["reason"].startswith("same picture") for d in dropped)
    assert scenes.argv[1] == "mindgpt_data.world"


def test_same_seed_same_bytes_other_seed_other_pictures(stage: Path, tmp_path: Path) -> None:
    again, other = run_world(tmp_path / "b", SETS), run_world(tmp_path / "c", SETS, seed=1)
    assert files(stage / "datasets") == files(again)
    assert (stage / "data_report.json").read_bytes() == (tmp_path / "b" / "data_report.json").read_bytes()
    assert not set(files(stage / "datasets" / "images")) & set(files(other / "images"))


@pytest.mark.parametrize("step", [step.name for step in STEPS])
def test_a_run_killed_in_any_step_goes_on_to_the_same_bytes(tmp_path: Path, step: str) -> None:
    whole = run_world(tmp_path / "a", SMALL)
    folder = tmp_path / "b"
    folder.mkdir()
    config = WorldConfig.model_validate({"kind": "world", "sets": SMALL})
    WorldStage().render(config, Context("world", folder, {}, 0))
    kill_world(folder, step, "t")
    assert not (folder / "data_report.json").exists()
    before = (folder / "datasets" / "d.jsonl").stat().st_mtime_ns
    run_world(folder, SMALL)
    assert files(whole) == files(folder / "datasets")
    assert (tmp_path / "a" / "data_report.json").read_bytes() == (folder / "data_report.json").read_bytes()
    assert (folder / "datasets" / "d.jsonl").stat().st_mtime_ns == before, "a set that is done is left alone"


def test_rendering_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    settings = WorldSettings.model_validate({"sets": SETS})
    render_corpora(settings, 0, tmp_path / "a")
    pid = os.fork()
    if pid == 0:

        def die(step: int, total: int) -> None:
            if step == 75:  # in the second of four sets
                os.kill(os.getpid(), signal.SIGKILL)

        render_corpora(settings, 0, tmp_path / "b", die)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    done = {p.parent.name: p.stat().st_mtime_ns for p in (tmp_path / "b").glob("*/manifest.jsonl")}
    assert set(done) == {"dev", "test"} or set(done) == {"dev"}
    render_corpora(settings, 0, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert all((tmp_path / "b" / name / "manifest.jsonl").stat().st_mtime_ns == t for name, t in done.items())


def test_denser_pictures_get_more_questions_unless_uniform(tmp_path: Path) -> None:
    def mean_budget(allocator: str) -> list[float]:
        run_world(tmp_path / allocator, {"train": SETS["train"]}, budget={"allocator": allocator})
        report = json.loads((tmp_path / allocator / "data_report.json").read_text())
        return [b for b in report["sets"]["train"]["budget_by_ids"] if b is not None]

    dense = mean_budget("density")
    assert dense[-1] > dense[0] + 0.5
    spread = mean_budget("uniform")
    assert max(spread) - min(spread) <= 1.0


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    for sets in (
        {"t": {"sources": {"general": {"images": 4, "unseen": 0.5}}}},
        {"t": {"sources": {"space": {"images": 4}}}},
        {"t": {"sources": {"general": {"images": 4, "difficulty": [0.9, 0.1]}}}},
        {"a/b": {"sources": {"general": {"images": 4}}}},
        {"t": {"sources": {"general": {"images": 4, "colour": 1}}}},
    ):
        with pytest.raises(ValidationError):
            WorldSettings.model_validate({"sets": sets})
    few = WorldSettings.model_validate({"sets": {"t": {"sources": {"general": {"images": 500, "difficulty": [0, 0]}}}}})
    with pytest.raises(ValueError, match="different general scenes were found; ask for fewer than"):
        write_corpus(tmp_path, few.sets["t"].sources, seed=0, size=96, taken=_Everything())


class _Everything(set[str]):
    """As if every scene had been drawn."""

    def __contains__(self, scene: object) -> bool:
        return True


def test_the_metrics_end_where_they_said(stage: Path) -> None:
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == lines[-1]["total"] == 100 * len(STEPS) * len(SETS)
