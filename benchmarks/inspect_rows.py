"""What it costs to inspect a set before a run: processor time, wall time and memory per row.

    python benchmarks/inspect_rows.py MODEL --rows 10000

MODEL is a folder with tokenizer and processor, e.g. ``runs/stages/model-…/model`` of the quickstart. Every row has a
96 × 96 picture of its own. The fixed part (imports, tokenizer) is measured on a set of one row and taken off.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from PIL import Image

from mindgpt_plugins.families.pictures import PixelLimits
from mindgpt_plugins.inspection.sets import Measure, inspect_set

TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
ENTRY = {"formatting": "sharegpt", "tags": TAGS, "columns": {"messages": "messages", "images": "images"}}
QUESTION, REPLY = "<image>What colour is the large square to the left of the circle?", "It is red. answer: red"


def write_rows(folder: Path, count: int) -> None:
    """Write a set of so many rows with as many pictures."""
    (folder / "images").mkdir()
    rows = []
    for i in range(count):
        Image.new("RGB", (96, 96), (i % 255, i // 255 % 255, 7)).save(folder / "images" / f"{i}.png")
        talk = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": REPLY}]
        rows.append({"uid": str(i), "messages": talk, "images": [f"images/{i}.png"]})
    (folder / "set.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"set": {"file_name": "set.json", **ENTRY}}), encoding="utf-8")


def measure_inspection(count: int, model: str) -> tuple[float, float]:
    """Processor and wall seconds of inspecting so many rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, count)
        wall, processor = time.monotonic(), time.process_time()
        found = inspect_set(folder, "set", measure=Measure(model, PixelLimits(1024, 9216), True))
        spent = time.process_time() - processor, time.monotonic() - wall
    if found.rows != count or found.tally.counts:
        raise SystemExit(f"expected {count} sound rows, got {found.rows} and {found.tally.counts}")
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=10_000)
    arguments = parser.parse_args()
    fixed, _ = measure_inspection(1, arguments.model)
    processor, wall = measure_inspection(arguments.rows, arguments.model)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    share = 1e3 * processor / arguments.rows
    print(f"{arguments.rows} rows: {processor:.1f} s of processor time ({share:.2f} ms a row), {wall:.1f} s elapsed")
    print(f"memory {memory:.2f} GB; imports and tokenizer before that: {fixed:.1f} s")


if __name__ == "__main__":
    main()
