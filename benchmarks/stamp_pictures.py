"""What it costs to know whether the pictures that a stage reads have changed, and to decide what a run can reuse.

    python benchmarks/stamp_pictures.py [--pictures 100000] [--kilobytes 20]

Writes ``benchmarks/results/stamp_pictures.md``. Cold: nothing is remembered, and the pictures are not in the page
cache. Warm: what the cold one remembered is there. Compared with what was done before: names, sizes and times of every
file in the folder, which a run's own output changes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mindgpt_data.corpus import find_corpus_files

sys.path.insert(0, str(Path(__file__).parent / "data"))
import machine

from mindgpt_plugins.core.stamps import ReadFiles, StampMemory
from mindgpt_plugins.inspection.readers import find_read_files

RESULT = machine.RESULTS / "stamp_pictures.md"
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
COLUMNS = {"messages": "messages", "images": "images"}
ENTRY = {"file_name": "set.json", "formatting": "sharegpt", "tags": TAGS, "columns": COLUMNS}
TALK = [
    {"role": "user", "content": "<image>What colour is the large square to the left of the circle?"},
    {"role": "assistant", "content": "It is red. answer: red"},
]
RECIPE = {
    "name": "r",
    "device": "cpu",
    "offline": True,
    "stages": {
        "sft": {"kind": "sft", "model": "some/model", "data": ["./set"], "max_steps": 1},
        "data": {"kind": "data", "images": {"path": "manifest.jsonl"}},
    },
}


def write_pictures(folder: Path, count: int, size: int) -> None:
    """Write a set, a manifest and as many files of ``size`` bytes, none like another."""
    (folder / "images").mkdir(parents=True)
    noise, names = os.urandom(size), [f"images/{i:06d}.png" for i in range(count)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(i.to_bytes(8, "big") + noise[8:])
    rows = [{"uid": name, "messages": TALK, "images": [name]} for name in names]
    (folder / "set.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"set": ENTRY}), encoding="utf-8")
    lines = (json.dumps({"image": name, "tags": ["road"]}) + "\n" for name in names)
    (folder / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "recipe.yaml").write_text(json.dumps(RECIPE), encoding="utf-8")
    os.sync()
    time.sleep(2.1)  # what changed a moment ago is not remembered


def forget_pages(folder: Path) -> None:
    """Take every picture out of the page cache, so that it must be read from the disk."""
    for entry in os.scandir(folder / "images"):
        file = os.open(entry.path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def stamp_like_before(folder: Path) -> int:
    """Names, sizes and times of all files of a folder, as every plan looked at them before."""
    return len([(str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()])


def measure(what: str, function: Callable[[], object]) -> str:
    """A row of the table: processor and wall seconds of one call."""
    wall, processor = time.monotonic(), time.process_time()
    function()
    spent = time.process_time() - processor, time.monotonic() - wall
    print(f"{what}: {spent[0]:.2f} s of processor time, {spent[1]:.2f} s elapsed", flush=True)
    return f"| {what} | {spent[0]:.2f} | {spent[1]:.2f} |"


def measure_reading(name: str, folder: Path, find: Callable[[], ReadFiles]) -> Iterator[str]:
    """Rows of one kind of reading."""
    memory = folder / f"memory-{name}"

    def stamp() -> str:
        held = StampMemory(memory)
        found = held.stamp(find()).digest
        held.save()
        return found

    forget_pages(folder)
    first: list[str] = []
    yield measure(f"{name}: cold", lambda: first.append(stamp()))
    yield measure(f"{name}: warm", lambda: first.append(stamp()))
    for entry in os.scandir(folder / "images"):
        os.utime(entry.path)
    time.sleep(2.1)
    yield measure(f"{name}: all touched", lambda: first.append(stamp()))
    yield measure(f"{name}: warm again", lambda: first.append(stamp()))
    if len({*first}) > 1:
        raise SystemExit(f"{name}: the same pictures got several stamps: {first}")


def measure_command(what: str, folder: Path) -> tuple[str, float]:
    """A row for ``mindgpt run --dry-run`` in which every stage is reused, and its processor seconds."""
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", "recipe.yaml", "--dry-run"]
    wall, before = time.monotonic(), os.times()
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    if said.count("reuse") != len(RECIPE["stages"]):  # type: ignore[arg-type]
        raise SystemExit(f"not all stages are reused:\n{said}")
    elapsed = time.monotonic() - wall
    print(f"{what}: {spent:.2f} s of processor time, {elapsed:.2f} s elapsed", flush=True)
    return f"| {what} | {spent:.2f} | {elapsed:.2f} |", spent


def finish_stages(folder: Path) -> None:
    """Leave every stage of the recipe done, without running it."""
    from mindgpt_plugins.core.artefacts import record_artefacts
    from mindgpt_plugins.pipeline import plan
    from mindgpt_plugins.recipe.loading import load_recipe

    planned = plan.make_run_plan(load_recipe(str(folder / "recipe.yaml")), folder / "runs")
    for stage in planned.stages:
        record_artefacts(stage.folder, {})
    planned.memory.save()


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--kilobytes", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, one = Path(scratch, "many"), Path(scratch, "one")
        write_pictures(folder, given.pictures, 1024 * given.kilobytes)
        write_pictures(one, 1, 1024 * given.kilobytes)
        rows = [measure("before: names, sizes and times of the folder", lambda: stamp_like_before(folder))]
        kinds: dict[str, Callable[[], ReadFiles]] = {
            "set": lambda: find_read_files(folder, "set", "llamafactory"),
            "manifest": lambda: find_corpus_files(folder / "manifest.jsonl"),
            "picture folder": lambda: find_corpus_files(folder / "images"),
        }
        for name, find in kinds.items():
            rows += measure_reading(name, folder, find)
        for where in (folder, one):
            finish_stages(where)
        fixed, least = measure_command("mindgpt run --dry-run, one picture", one)
        whole, most = measure_command(f"mindgpt run --dry-run, {given.pictures} pictures twice", folder)
    lines = [
        "# Stamping pictures",
        "",
        f"Machine: {machine.describe()}.",
        "",
        f"Command: `python benchmarks/stamp_pictures.py --pictures {given.pictures} --kilobytes {given.kilobytes}`",
        "",
        f"{given.pictures} files of {given.kilobytes} kB. Elapsed time depends on the disk and on the load above.",
        "",
        "| what | processor time, s | elapsed, s |",
        "|---|---|---|",
        *rows,
        fixed,
        whole,
        "",
        "The recipe has an sft stage over the set and a data stage over the manifest, both finished: to decide that "
        f"both are reused takes {most - least:.2f} s of processor time more than with one picture (imports and the "
        "rest).",
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
