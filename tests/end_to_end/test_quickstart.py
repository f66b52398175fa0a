"""What a finished quickstart must show: the chain ran on the real hosts, learning is real, and nothing runs twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent.parent


def scores(report: dict[str, Any], stage: str) -> dict[str, float]:
    """Accuracy by source on the held-out test set."""
    row = next(row for row in report["matrix"]["rows"] if row["stage"] == stage)
    columns = report["matrix"]["columns"]
    return {
        column["source"]: cell["accuracy"]
        for column, cell in zip(columns, row["cells"], strict=True)
        if column["capability"] == "all" and column["source"] != "all"
    }


def gate(report: dict[str, Any], stage: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e["gate"] for e in report["evaluations"] if e["stage"] == stage)
    return found


def test_every_stage_finished(report: dict[str, Any]) -> None:
    assert report["complete"], report["notes"]
    kinds = {stage["kind"] for stage in report["stages"]}
    assert {"world", "model", "sft", "rejection_sampling", "preference_pairs", "dpo", "rl", "evaluate"} <= kinds


def test_base_is_above_chance_and_not_saturated(recipe: str, report: dict[str, Any]) -> None:
    general = scores(report, "eval_base")["general"]
    # the most frequent answer of each question gets about a quarter
    assert {"quickstart": 0.5, "quickstart_small": 0.3}[recipe] < general < 0.95


def test_domain_stage_learns_the_domain_and_forgets(recipe: str, report: dict[str, Any]) -> None:
    base, domain = scores(report, "eval_base"), scores(report, "eval_domain")
    assert domain["domain"] - base["domain"] >= {"quickstart": 0.30, "quickstart_small": 0.05}[recipe]
    assert domain["general"] < base["general"]


@pytest.mark.usefixtures("whole")
def test_restoration_passes_the_gate_and_keeps_the_gain(report: dict[str, Any]) -> None:
    result = gate(report, "eval_restore")
    assert result["passed"], result
    assert result["domain"]["kept"] >= 0.8


@pytest.mark.usefixtures("whole")
def test_rl_raises_reward_and_held_out_accuracy(run: Path, report: dict[str, Any]) -> None:
    folder = folder_of(run, "rl")
    rewards = [json.loads(line)["score/mean"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    half = len(rewards) // 2  # one pass over the prompts: both halves answer the same ones
    assert sum(rewards[half:]) > sum(rewards[:half])
    before, after = (sampled_accuracy(report, stage) for stage in ("eval_align", "eval_rl"))
    assert after > before


def sampled_accuracy(report: dict[str, Any], stage: str) -> float:
    """Share of right samples (pass@1) on the held-out test set, mean over sources."""
    model = next(row["model"] for row in report["matrix"]["rows"] if row["stage"] == stage)
    values = [entry["values"]["1"] for entry in report["pass_at"] if entry["model"] == model]
    return float(sum(values) / len(values))


def folder_of(run: Path, kind: str) -> Path:
    """Stage folder of the only stage of a kind."""
    manifest = json.loads((run / "manifest.json").read_text())
    return Path(next(stage["folder"] for stage in manifest["stages"] if stage["kind"] == kind))


def test_rollout_dump_carries_every_component(run: Path) -> None:
    folder = folder_of(run, "rl")
    line = json.loads((folder / "rollouts" / "1.jsonl").read_text().splitlines()[0])
    assert {"accuracy", "format", "conciseness", "diversity"} <= set(line["components"])
    assert isinstance(line["advantage"], float)


def test_memory_stays_below_ten_gigabytes(report: dict[str, Any]) -> None:
    assert max(stage["peak_rss_bytes"] for stage in report["stages"]) < 10e9


def test_second_run_reuses_everything(run: Path, recipe: str) -> None:
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(ROOT / "recipes" / f"{recipe}.yaml")]
    done = subprocess.run(
        [*command, "--runs", str(run.resolve().parent), "--dry-run"], capture_output=True, text=True, check=True
    )
    assert "reuse" in done.stdout and " run " not in done.stdout.partition("why")[2]
