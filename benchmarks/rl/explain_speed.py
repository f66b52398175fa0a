"""``mindgpt explain`` and the rollout browser on many recorded replies: time, memory and size.

    python benchmarks/rl/explain_speed.py [--replies 100000] [--words 120] [--pictures 3000]

Writes ``benchmarks/results/explain_speed.md``. Replies are random words, so they compress worse than real ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parents[1] / "results" / "explain_speed.md"
N, STEPS = 8, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replies", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=120)
    parser.add_argument("--pictures", type=int, default=3000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make(Path(folder), given.replies, given.words, given.pictures)
        rows = [
            timed("explain, quickstart's rewards", lambda: explained(run)),
            timed("rollouts.html", lambda: page(run)),
        ]
    lines = [
        "# mindgpt explain and the rollout browser on many replies",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python "
        f"{platform.python_version()}, torch {version('torch')}.",
        f"Command: `python benchmarks/rl/explain_speed.py --replies {given.replies} --words {given.words} "
        f"--pictures {given.pictures}`",
        "Processor time is what it takes on a free core; elapsed time depends on the load above.",
        "| what | processor time, s | elapsed, s | peak memory so far, GB | result |\n|---|---|---|---|---|\n"
        + "\n".join(rows),
    ]
    RESULT.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    print(f"written: {RESULT}\n" + "\n".join(rows))


def timed(name: str, work: Callable[[], str]) -> str:
    busy, wall = time.process_time(), time.perf_counter()
    result = work()
    busy, wall = time.process_time() - busy, time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return f"| {name} | {busy:.1f} | {wall:.1f} | {memory:.2f} | {result} |"


def explained(run: Path) -> str:
    import torch

    from mindgpt_plugins.rewards import recorded
    from mindgpt_plugins.workbench.explain.explain import explain_rollouts
    from mindgpt_plugins.workbench.explain.setup import read_recipe_setup

    torch.set_num_threads(1)  # as the command does
    setup = read_recipe_setup("quickstart")
    found = explain_rollouts(recorded.read_recorded_rollouts(run.parent / "rl/rollouts", total_steps=STEPS), setup)
    dead = sum(row["dead"] for row in found["parameters"])
    return f"{found['replies']} replies, {len(found['parameters'])} parameters tried, {dead} without effect"


def page(run: Path) -> str:
    from mindgpt_plugins.workbench.report import browser
    from mindgpt_plugins.workbench.report.run import load_run

    text = browser.render_browser_page(load_run(run))
    assert text is not None
    return f"{len(text) / 1e6:.1f} MB"


def make(root: Path, replies: int, words: int, pictures: int) -> Path:
    """A run folder with one rl stage."""
    from PIL import Image

    from mindgpt_plugins.core.artefacts import record_artefacts

    rng = random.Random(0)
    images, rollouts, run = root / "world/datasets/images", root / "rl/rollouts", root / "run"
    for folder in (images, rollouts, run):
        folder.mkdir(parents=True)
    for i in range(pictures):
        Image.frombytes("RGB", (16, 12), rng.randbytes(16 * 12 * 3)).resize((640, 480)).save(images / f"{i}.jpg")
    record_artefacts(root / "world", {"datasets": str(images.parent)})
    letters = "abcdefghijklmnopqrstuvwxyz"
    lexicon = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(5000)]
    for step in range(1, STEPS + 1):
        with (rollouts / f"{step}.jsonl").open("w") as out:
            for group in range(replies // N // STEPS):
                out.writelines(_lines(rng, lexicon, step, group, words, pictures))
    stages = [
        {"name": n, "kind": k, "folder": f"../{n}", "status": "done"} for n, k in (("world", "world"), ("rl", "rl"))
    ]
    (run / "manifest.json").write_text(json.dumps({"version": 1, "recipe": "many replies", "stages": stages}))
    return run


def _lines(rng: random.Random, lexicon: list[str], step: int, group: int, words: int, pictures: int) -> list[str]:
    shared: dict[str, Any] = {
        "input": " ".join(rng.choices(lexicon, k=20)),
        "gts": "x",
        "step": step,
        "row": f"row-{group}",
        "group": f"s{step}p{group}",
        "source": "many",
        "type": "verifiable",
        "answer_type": "text",
        "labels": {"knowledge": f"a.b{group % 9}", "capability": f"c.d{group % 7}"},
        "image": [f"images/{rng.randrange(pictures)}.jpg"] if pictures else [],
    }
    found = []
    for session in range(N):
        right = rng.random() < 0.5
        text = " ".join(rng.choices(lexicon, k=rng.randint(words // 2, words * 3 // 2)))
        own = {"output": f"{text} answer: {'x' if right else 'y'}", "tokens": len(text.split()) + 3, "session": session}
        own |= {"score": float(right), "advantage": rng.uniform(-1, 1), "components": {"accuracy": float(right)}}
        found.append(json.dumps(shared | own) + "\n")
    return found


if __name__ == "__main__":
    main()
