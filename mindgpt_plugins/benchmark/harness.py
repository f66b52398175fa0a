"""``python -m mindgpt_plugins.benchmark.harness task.json``: EvalScope itself, in a process that can be stopped.

Runs one EvalScope task per pass and writes what it found as plain rows, one per sample, into ``rows.jsonl``, and its
own figures (F1, figure accuracy, …) into ``reports.json``. All we know about EvalScope's files is in here.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgpt_plugins.benchmark.catalogue import BENCHMARKS, Benchmark
from mindgpt_plugins.evaluate.collect import write_lines, write_text


def run(path: Path) -> None:
    """Run every pass of a task file and write its rows and reports."""
    from evalscope.config import TaskConfig
    from evalscope.run import run_task

    task = json.loads(path.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    reports: dict[str, Any] = {}
    for name, url in task["passes"].items():
        folder = path.parent / "evalscope" / name
        shutil.rmtree(folder, ignore_errors=True)  # replies are kept by the proxy; half-written files would be in the way
        config = {**task["config"], "api_url": url, "work_dir": str(folder), "no_timestamp": True}
        found = run_task(TaskConfig.from_dict(config))
        for key in task["benchmarks"]:
            benchmark = BENCHMARKS[key]
            own = list(_rows(folder, benchmark))
            if not own:
                raise ValueError(f"{key}: EvalScope scored no row; is its data set empty, or its subset list?")
            rows += [{"pass": name, "benchmark": key, **row} for row in own]
            reports.setdefault(key, {})[name] = _figures(found[benchmark.task])
    write_lines(path.with_name("rows.jsonl"), rows)
    write_text(path.with_name("reports.json"), json.dumps(reports, indent=1) + "\n")


def _rows(folder: Path, benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    from evalscope.api.evaluator.cache import ModelResult, ReviewResult
    from evalscope.utils.yes_no import extract_verdict

    for file in sorted(folder.glob(f"reviews/*/{benchmark.task}_*.jsonl")):
        replies = {}
        for line in _lines(folder / "predictions" / file.relative_to(folder / "reviews")):
            result = ModelResult.model_validate(line)
            replies[result.index] = result.model_output
        for line in _lines(file):
            review = ReviewResult.from_cache_item(line)
            scored, output = review.sample_score, replies[review.index]
            score = scored.score
            answer = score.extracted_prediction or None
            if answer is not None and benchmark.answers == "verdict":
                answer = extract_verdict(answer, allow_lowercase_exact=True)
            if score.main_value is None:
                raise ValueError(f"{benchmark.task}: sample {review.index} was not scored: {score.explanation}")
            yield {
                "subset": file.stem.removeprefix(f"{benchmark.task}_"),
                "index": review.index,
                "metadata": scored.sample_metadata or {},
                "reply": output.completion,
                "answer": answer,
                "score": float(score.main_value),
                "tokens": output.usage.output_tokens if output.usage else None,
                "finished": output.stop_reason != "max_tokens",
            }


def _figures(report: Any) -> list[dict[str, Any]]:
    return [{"name": metric.name, "score": metric.score, "n": metric.num} for metric in report.metrics]


def _lines(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.benchmark.harness TASK.json")
    run(Path(sys.argv[1]))
