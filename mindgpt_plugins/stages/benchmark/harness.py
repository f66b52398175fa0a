"""``python -m mindgpt_plugins.stages.benchmark.harness task.json``: EvalScope itself, in a process that can be stopped.

Runs one EvalScope task per pass and writes what it found as plain rows, one per sample, into ``rows.jsonl``, and its
own figures (F1, figure accuracy, …) into ``reports.json``. All we know about EvalScope's files is in here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import load_jsonl, read_json, write_json, write_jsonl
from mindgpt_plugins.stages.benchmark.catalogue import BENCHMARKS, Benchmark


def run_task_passes(path: Path) -> None:
    """Run every pass of a task file and write its rows and reports.

    Raises:
        SystemExit: EvalScope refuses a setting, or a data set cannot be loaded or is empty.
    """
    from evalscope.run import run_task

    task = read_json(path)
    counts = _counts(task)
    write_json(path.with_name("total.json"), sum(counts.values()) * len(task["passes"]))
    rows: list[dict[str, Any]] = []
    reports: dict[str, Any] = {}
    for name, url in task["passes"].items():
        folder = path.parent / name
        found = run_task(_config(task["config"], api_url=url, work_dir=str(folder), no_timestamp=True))
        for key, count in counts.items():
            benchmark = BENCHMARKS[key]
            own = list(_rows(folder, benchmark))
            if len(own) != count:
                sys.exit(f"{key}: EvalScope scored {len(own)} of {count} rows; see {folder / 'logs'}")
            rows += [{"pass": name, "benchmark": key, **row} for row in own]
            reports.setdefault(key, {})[name] = _figures(found[benchmark.task])
        for part in ("predictions", "reviews"):  # every picture twice; what they say is in rows.jsonl
            shutil.rmtree(folder / part)
    write_jsonl(path.with_name("rows.jsonl"), rows)
    write_json(path.with_name("reports.json"), reports)


def _config(settings: Mapping[str, Any], **more: Any) -> Any:
    from evalscope.config import TaskConfig

    try:
        return TaskConfig.from_dict({**settings, **more})
    except ValueError as error:
        sys.exit(f"EvalScope refuses the stage's settings (`harness`): {error}")


def _counts(task: Mapping[str, Any]) -> dict[str, int]:
    """Rows of every benchmark; all data sets are read before the first question is asked."""
    from evalscope.api.registry import get_benchmark

    config = _config(task["config"])
    counts = {}
    for key in task["benchmarks"]:
        try:
            loaded = get_benchmark(BENCHMARKS[key].task, config).load_dataset()
        except Exception as error:  # noqa: BLE001 - hubs, files and columns fail in many ways; all stop the stage
            where = task["config"]["dataset_args"][BENCHMARKS[key].task].get("local_path", "the hub")
            sys.exit(
                f"{key}: its data set cannot be loaded from {where} ({type(error).__name__}: {error}); name a local "
                f"copy with `data: {{{key}: ./folder}}`, or only the subsets it has with "
                f"`harness: {{dataset_args: {{{key}: {{subset_list: […]}}}}}}`"
            )
        counts[key] = sum(len(subset) for subset in loaded.values())
        if not counts[key]:
            sys.exit(f"{key}: its data set has no rows in the subsets {', '.join(loaded)}")
    return counts


def _rows(folder: Path, benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    from evalscope.api.evaluator.cache import ModelResult, ReviewResult
    from evalscope.utils.yes_no import extract_verdict

    for file in sorted(folder.glob(f"reviews/*/{benchmark.task}_*.jsonl")):
        predicted = (ModelResult.model_validate(line) for line in load_jsonl(_beside(file, "reviews", "predictions")))
        outputs = {result.index: result.model_output for result in predicted}
        for line in load_jsonl(file):
            review = ReviewResult.from_cache_item(line)
            scored, output = review.sample_score, outputs[review.index]
            score = scored.score
            answer = score.extracted_prediction or None
            if answer is not None and benchmark.answers == "verdict":
                answer = extract_verdict(answer, allow_lowercase_exact=True)
            if score.main_value is None:
                sys.exit(f"{benchmark.task}: row {review.index} was not scored: {score.explanation}")
            yield {
                "subset": file.stem.removeprefix(f"{benchmark.task}_"),
                "index": review.index,
                "metadata": scored.sample_metadata or {},
                "question": "\n".join(m.text for m in review.messages if m.role == "user"),
                "target": review.target,
                "reply": output.completion,
                "answer": answer,
                "score": float(score.main_value),
                "tokens": output.usage.output_tokens if output.usage else None,
                "finished": output.stop_reason not in ("max_tokens", "model_length"),
            }


def _figures(report: Any) -> list[dict[str, Any]]:
    return [{"name": metric.name, "score": metric.score, "n": metric.num} for metric in report.metrics]


def _beside(file: Path, this: str, other: str) -> Path:
    """The same file of the same model in another of EvalScope's folders."""
    parts = list(file.parts)
    parts[len(parts) - 1 - parts[::-1].index(this)] = other
    return Path(*parts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.benchmark.harness TASK.json")
    run_task_passes(Path(sys.argv[1]))
