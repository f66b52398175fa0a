import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.export import read_set
from mindgpt_data.world.config import WorldSettings
from mindgpt_data.world.pipeline import run
from pydantic import ValidationError

SETS: dict[str, Any] = {
    "train": {"sources": {"general": {"images": 40, "items": 100, "skew": 2}, "domain": {"images": 30, "items": 70}}},
    "more": {"sources": {"general": {"images": 30}}},
    "dev": {"split": "dev", "sources": {"general": {"images": 40, "items": 40}}},
    "test": {"split": "test", "sources": {"domain": {"images": 30, "items": 30, "unseen": 0.5}}},
}


def settings(**more: Any) -> WorldSettings:
    return WorldSettings.model_validate({"sets": SETS, **more})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_budgets_are_met_splits_are_disjoint_and_every_drop_has_a_reason(tmp_path: Path) -> None:
    report = run(settings(), 0, tmp_path)
    rows = {name: read_set(tmp_path, name) for name in SETS}
    assert len(rows["dev"]) == 40
    for name, summary in report["sets"].items():
        short = sum(d["count"] for d in summary["funnel"]["dropped"] if d["gate"] == "teacher")
        want = sum(s.get("items") or 0 for s in SETS[name]["sources"].values())
        assert summary["items"] == len(rows[name])
        if want:
            assert summary["items"] + short == want
        assert all(d["reason"] and d["examples"] for d in summary["funnel"]["dropped"])
    images = {name: {i for r in rs for i in r.image} for name, rs in rows.items()}
    names = list(images)
    assert all(not images[a] & images[b] for i, a in enumerate(names) for b in names[i + 1 :])
    for rs in rows.values():
        assert all(r.response.endswith(f"answer: {r.answer}") for r in rs)
        asked = [(r.image[0], r.question) for r in rs]
        assert len(set(asked)) == len(asked)
    uids = [r.uid for rs in rows.values() for r in rs]
    assert len(set(uids)) == len(uids)


def test_same_seed_same_bytes_other_seed_other_pictures(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(settings(), seed, tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert not set(files(tmp_path / "a" / "images")) & set(files(tmp_path / "c" / "images"))


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    run(settings(), 0, tmp_path / "a")

    def killed(line: dict[str, Any]) -> None:
        if line["step"] >= 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings(), 0, tmp_path / "b", killed)
    before = {n: p.stat().st_mtime_ns for n in ("dev", "test") if (p := tmp_path / "b" / f"{n}.json").is_file()}
    assert before
    run(settings(), 0, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert all((tmp_path / "b" / f"{n}.json").stat().st_mtime_ns == t for n, t in before.items())


def test_denser_pictures_get_more_questions_unless_uniform(tmp_path: Path) -> None:
    def mean_budget(folder: Path) -> list[float]:
        one = run(settings(budget={"allocator": folder.name}), 0, folder)["sets"]["train"]
        return [b for b in one["budget_by_ids"] if b is not None]

    assert mean_budget(tmp_path / "density")[-1] > mean_budget(tmp_path / "density")[0] + 0.5
    spread = mean_budget(tmp_path / "uniform")
    assert max(spread) - min(spread) <= 1.0


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="between 4 and 32"):
        bad = {"t": {"sources": {"general": {"images": 4, "items": 50}}}}
        run(WorldSettings.model_validate({"sets": bad}), 0, tmp_path)
    for sets in (
        {"t": {"sources": {"general": {"images": 4, "unseen": 0.5}}}},
        {"t": {"sources": {"space": {"images": 4}}}},
        {"t": {"sources": {"general": {"images": 4, "difficulty": [0.9, 0.1]}}}},
        {"a/b": {"sources": {"general": {"images": 4}}}},
        {"t": {"sources": {"general": {"images": 4, "colour": 1}}}},
    ):
        with pytest.raises(ValidationError):
            WorldSettings.model_validate({"sets": sets})


def test_as_a_process_it_writes_report_and_metrics(tmp_path: Path) -> None:
    config = {
        "settings": {"sets": {"t": {"sources": {"general": {"images": 10}}}}},
        "seed": 0,
        "folder": str(tmp_path / "datasets"),
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    subprocess.run([sys.executable, "-m", "mindgpt_data.world", "config.json"], cwd=tmp_path, check=True)
    report = json.loads((tmp_path / "data_report.json").read_text())
    assert report["version"] == 1
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == lines[-1]["total"] == 10
