"""Twenty kills over every stage kind whose host is here: the process table before and after, and the end all the same.

Benchmarks and quantisation need interpreters of their own; what they start is started as everything here.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import pytest
from support.process_table import describe_left, list_marked, mark_environment, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]
pytest.importorskip("llamafactory")
pytest.importorskip("verl")
PICTURES = Path(__file__).parents[2] / "recipes" / "data" / "example"
RECIPE = """
name: kinds
device: cpu
offline: true
# The process is the stage's own; its engine gives one right answer, as a model of a minute's training has none.
plugins:
  - mindgpt_plugins.stages.rejection_sampling.rehearsed
  - mindgpt_plugins.stages.preference_pairs.rehearsed
image: {min_pixels: 1024, max_pixels: 9216}
stages:
  data:
    kind: data
    images: {path: PICTURES/manifest.jsonl, source: domain, boxes: pixels}
    density: {estimator: model-free}
    generate: {teacher: annotations}
    filter: {gates: [rules, duplicates]}
  world:
    kind: world
    world: {size: 96}
    sets:
      train: {sources: {general: {images: 150, items: 200}, domain: {images: 60, items: 100}}}
      prompts: {sources: {general: {images: 60, items: 80}}}
      dev: {split: dev, sources: {general: {images: 60, items: 60}, domain: {images: 30, items: 30}}}
  model: {kind: model, tokenizer_from: [world/train]}
  sft:
    kind: sft
    model: model
    data: [world/train]
    max_steps: 60
    lr: 5.0e-4
    batch_size: 4
    freeze_vision_tower: false
    cutoff_len: 128
    save_steps: 50
    logging_steps: 1
  evaluate: {kind: evaluate, model: sft, sets: [world/dev], samples: {n: 2, rows: 10}}
  sampled: {kind: rehearsed_rejection_sampling, model: model, after: sft, prompts: [world/prompts]}
  pairs: {kind: rehearsed_preference_pairs, model: sft, prompts: [world/prompts], samples: 4, pairs: 32}
  dpo:
    kind: dpo
    model: sft
    data: [pairs/align]
    epochs: 4
    lr: 2.0e-5
    batch_size: 2
    freeze_vision_tower: false
    cutoff_len: 128
    save_steps: 50
  between: {kind: interpolate, start: model, end: sft, choose: {sets: [world/dev], grid: [0.5, 1.0]}}
  rl:
    kind: rl
    model: dpo
    train: world/train
    rewards: {accuracy: {weight: 1.0}}
    advantage: {k: 2}
    group_size: 4
    prompts_per_step: 4
    steps: 3
    lr: 6.0e-5
    max_prompt_tokens: 96
    max_response_tokens: 16
    micro_batch: 8
    save_every: 1
"""
STAGES = ("data", "world", "model", "sft", "evaluate", "sampled", "pairs", "dpo", "between", "rl")
TWICE = [stage for stage in STAGES for _ in range(2)]
STATUS = {signal.SIGTERM: 143, signal.SIGKILL: -9, signal.SIGHUP: 129, signal.SIGINT: 130}


def test_twenty_kills_leave_no_process_and_lose_nothing(tmp_path: Path) -> None:
    recipe = tmp_path / "kinds.yaml"
    recipe.write_text(RECIPE.replace("PICTURES", str(PICTURES)))
    argv = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(recipe), "--runs", str(tmp_path / "runs")]
    moments = random.Random(0)
    table = []
    for stage, sent in zip(TWICE, cycle(STATUS), strict=False):
        environment = mark_environment({"NO_COLOR": "1", "COLUMNS": "200"})
        run = start(argv, tmp_path, environment)
        wait_for_stage(run, tmp_path, stage)
        time.sleep(moments.uniform(0, 40 if stage == "rl" else 8))
        before = len(list_marked(environment))
        os.kill(run.pid, sent)
        assert run.wait(45) == STATUS[sent]
        left = describe_left(environment)
        table.append((stage, sent.name, before, len(left)))
        print(*table[-1], flush=True)
        assert left == [], table
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    manifest = json.loads((tmp_path / "runs" / "kinds" / "manifest.json").read_text())
    assert [one["name"] for one in manifest["stages"]] == list(STAGES)
    assert {one["status"] for one in manifest["stages"]} <= {"done", "reused"}


def start(argv: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with open(folder / "said", "wb") as said:
        return subprocess.Popen(
            argv,
            env=environment,
            stdout=said,
            stderr=said,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # pytest may run in the background
        )


def wait_for_stage(run: subprocess.Popen[bytes], folder: Path, stage: str) -> None:
    """Until this start of the recipe has come to a stage, or past it, and the stage has said something."""

    def begun() -> bool:
        shown = re.findall(r"^\[\d+/\d+\] (\w+): ", (folder / "said").read_text(errors="replace"), re.M)
        logs = [path for path in folder.glob(f"runs/stages/{stage}-*/log.txt") if path.stat().st_size]
        return bool(logs) and bool(shown) and STAGES.index(shown[-1]) >= STAGES.index(stage)

    assert wait_until(lambda: run.poll() is not None or begun(), 1800)
    assert run.poll() is None, (folder / "said").read_text()
