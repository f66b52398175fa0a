"""One ``benchmark`` stage: proxy and harness side by side, then predictions and scores."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import compat, process
from mindgpt_plugins.core.files import load_jsonl, read_json, write_json, write_jsonl
from mindgpt_plugins.core.metrics import append_metrics
from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.stages.benchmark import results
from mindgpt_plugins.stages.benchmark.catalogue import BENCHMARKS, HARNESS
from mindgpt_plugins.stages.benchmark.job import BenchmarkJob
from mindgpt_plugins.stages.benchmark.model_server import ModelServer, build_auth_headers, choose_server_engine
from mindgpt_plugins.stages.benchmark.proxy import BLANK, SEEN, Proxy, ReplyStore
from mindgpt_plugins.stages.evaluate import forgetting, scoring


class BenchmarkError(RuntimeError):
    """The benchmarks could not be finished; the message says why, what is kept and how to go on."""


def run(config_path: Path) -> dict[str, Any]:
    """Run what ``benchmark.json`` describes and return the content of ``scores.json``.

    Safe to run again after a kill: replies are kept as they come, and the harness goes over its rows again.

    Raises:
        BenchmarkError: no harness here, the server failed, or the harness did.
    """
    job = read_model(config_path, BenchmarkJob)
    folder = config_path.resolve().parent
    fault = compat.find_version_problem(HARNESS, compat.find_installed_version(HARNESS))
    if fault:
        raise BenchmarkError(f"{sys.executable}: {fault}")
    replies = ReplyStore(folder / "replies.jsonl")
    kept = len(replies)
    (folder / "metrics.jsonl").unlink(missing_ok=True)  # the harness goes over all its rows again
    shutil.rmtree(folder / HARNESS, ignore_errors=True)
    (folder / HARNESS).mkdir()
    with (
        ModelServer(job, folder / "server") as server,
        Proxy(replies, headers=build_auth_headers(job), timeout=job.timeout, served=_progress(folder)) as proxy,
    ):
        passes = {name: proxy.url(name) for name in ((SEEN, BLANK) if job.blank else (SEEN,))}
        write_json(folder / HARNESS / "task.json", build_harness_task(job, server.name, passes))
        _harness(folder / HARNESS, proxy, server)
        print(f"{proxy.asked} requests asked, {kept} replies kept from before", flush=True)
    return _write(folder, job)


def _progress(folder: Path) -> Callable[[int], None]:
    """Appends to ``metrics.jsonl`` how many of the harness's requests were served."""

    def served(count: int) -> None:
        total = read_json(folder / HARNESS / "total.json")
        append_metrics(folder / "metrics.jsonl", count, total, {})

    return served


def build_harness_task(job: BenchmarkJob, model: str, passes: Mapping[str, str]) -> dict[str, Any]:
    """What the harness process is told: benchmarks, passes (name → URL) and EvalScope's own task config."""
    own = dict(job.harness)
    names = job.benchmarks
    arguments = {BENCHMARKS[name].task: dict(own.get("dataset_args", {}).get(name, {})) for name in names}
    for name, path in job.data.items():
        arguments[BENCHMARKS[name].task]["local_path"] = str(path)
    generation = {
        "temperature": 0.0,
        "max_tokens": job.max_new_tokens,
        "retries": 1,
        "timeout": job.timeout,
    }
    return {
        "benchmarks": names,
        "passes": dict(passes),
        "config": {
            "collect_perf": False,
            "seed": job.seed,
            **own,
            "model": model,
            "eval_type": "openai_api",
            "datasets": [BENCHMARKS[name].task for name in names],
            "dataset_args": arguments,
            "limit": job.limit,
            "eval_batch_size": job.batch_size,
            "generation_config": {**generation, **own.get("generation_config", {})},
        },
    }


def _harness(folder: Path, proxy: Proxy, server: ModelServer) -> None:
    """Run the harness to its end, or stop it as soon as the proxy has something to complain about."""
    # The datasets library takes two local folders of one name for the same data: its cache must not outlive the stage.
    cache = folder / "datasets_cache"
    argv = [sys.executable, "-m", "mindgpt_plugins.stages.benchmark.harness", "task.json"]
    child = process.start_command(argv, folder=folder, env={"HF_DATASETS_CACHE": str(cache)})
    try:
        while child.poll() is None and proxy.fault is None:
            if proxy.waiting.is_set() and server.url is None:
                # Here and not in the proxy's thread: a server that does not start ends the stage.
                proxy.provide(server.start())
            time.sleep(0.2)
    finally:
        if child.poll() is None:
            process.stop_command(child)
        shutil.rmtree(cache, ignore_errors=True)
    kept = f"{len(proxy.replies)} replies are kept in {proxy.replies.path}; the same command goes on from there"
    if proxy.fault is not None:
        raise BenchmarkError(f"{proxy.fault}. {kept}. {server.last_words()}".rstrip())
    if child.returncode:
        log = folder / "log.txt"
        end = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:])
        raise BenchmarkError(
            f"EvalScope ended with status {child.returncode}. {kept}. The end of its log ({log}):\n{end}"
        )


def _write(folder: Path, job: BenchmarkJob) -> dict[str, Any]:
    rows = load_jsonl(folder / HARNESS / "rows.jsonl")
    found = results.build_predictions(rows, job.sources)
    write_jsonl(folder / "predictions.jsonl", found)
    reports = read_json(folder / HARNESS / "reports.json")
    scores: dict[str, Any] = {
        "version": scoring.VERSION,
        "model": job.model_name,
        "engine": "server" if job.server else choose_server_engine(job),
        "sets": job.benchmarks,
        "general": job.general,
        "domain": job.domain,
        "samples": {"n": 0, "rows": 0, "temperature": 1.0},
        "seed": job.seed,
        "harness": {"name": HARNESS, "version": compat.find_installed_version(HARNESS)},
        "benchmarks": results.summarise_passes(rows, reports),
        "cells": scoring.aggregate_cells(found),
        "gate": judge_benchmark_gate(job, found),
    }
    write_json(folder / "scores.json", scores)
    for line in results.format_accuracy_table(scores["cells"], scores["benchmarks"]):
        print(line, flush=True)
    judged = scores["gate"]
    if judged and job.gate:
        print(forgetting.describe_gate_verdict(judged), flush=True)
        if judged["verdict"] == "failed" and job.gate.on_fail == "stop":
            raise BenchmarkError(
                f"{forgetting.describe_gate_verdict(judged)}. The scores are in {folder / 'scores.json'}; set "
                "`gate.on_fail: continue` for this stage to go on regardless"
            )
    return scores


def judge_benchmark_gate(job: BenchmarkJob, after: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The forgetting gate over all benchmarks, against the predictions of an earlier ``benchmark`` stage."""
    asked = job.gate
    if asked is None:
        return None

    def judged(lines: list[dict[str, Any]]) -> forgetting.Judged:
        return {
            f"{p['set']}/{p['uid']}": (
                p["set"] if asked.groups == "set" else f"{p['set']}.{p['capability']}",
                p["correct"],
            )
            for p in lines
        }

    before = judged(load_jsonl(asked.before))
    # No benchmark is a domain to be learnt: what the gate calls domain repeats the sum of all.
    result = forgetting.judge_forgetting_gate(
        before, judged(after), before, judged(after), margin=asked.margin, seed=job.seed
    )
    return {"set": ", ".join(job.benchmarks), "groups_by": asked.groups, "on_fail": asked.on_fail, **result}
