"""A place: a folder with a recipe and its runs, in which ``mindgpt run`` is started, watched and compared."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from injection.kinds import KINDS, Kind, list_stages, write_recipe
from injection.trial import judge_words
from support.process_table import describe_left, mark_environment

SAME = {"NO_COLOR": "1", "COLUMNS": "1000", "OMP_NUM_THREADS": "1"}
"""One thread each: two lanes share two cores, and sums of floats come out the same."""


@dataclass
class Started:
    """A ``mindgpt run`` that goes on."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    said: Path

    def wait(self, seconds: float) -> int | None:
        """Exit status, or None when it still runs after so many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def read(self) -> str:
        """What it printed."""
        return self.said.read_text(errors="replace")

    def judge(self, status: int) -> list[str]:
        """Failures that any ended command can have: of its words, and processes that it left."""
        left = describe_left(self.environment)
        return [*judge_words(status, self.read()), *(f"left: {one}" for one in left)]


@dataclass
class Ended:
    """A ``mindgpt run`` that has ended, or was ended because it took too long."""

    status: int | None
    said: str
    failures: list[str]

    def must_succeed(self) -> list[str]:
        """Failures of a command that nothing disturbed."""
        if self.status == 0:
            return self.failures
        last = " ".join(self.said.split("error: ")[-1].split())[:300]
        return [*self.failures, f"stuck: exit status {self.status}: {last}"]


class Place:
    """The place of one kind, or of the straight run of all kinds."""

    def __init__(self, folder: Path, stages: tuple[str, ...]):
        self.folder, self.stages = folder, stages
        self.recipe, self.runs = folder / "torture.yaml", folder / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        write_recipe(self.recipe, stages)

    def start(self, *options: str) -> Started:
        """Start ``mindgpt run`` of the recipe."""
        environment = mark_environment(SAME)
        said = self.folder / f"said-{time.monotonic_ns()}.txt"
        argv = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(self.recipe), "--runs", str(self.runs)]
        with said.open("wb") as file:
            process = subprocess.Popen([*argv, *options], env=environment, cwd=self.folder, stdout=file, stderr=file)
        return Started(process, environment, said)

    def finish(self, *options: str, limit: float = 900) -> Ended:
        """Run it to its end."""
        return end(self.start(*options), limit)

    def locate_stage(self, name: str) -> Path:
        """The newest attempt at a stage."""
        found = (self.runs / "stages").glob(f"{name}-*")
        return max(found, key=lambda path: int(path.suffix[1:] or 1))

    def clear_stage(self, name: str) -> None:
        """Remove every attempt at a stage."""
        for path in (self.runs / "stages").glob(f"{name}-*"):
            shutil.rmtree(path)

    def list_artefacts(self, name: str) -> dict[str, Path]:
        """Name → file of everything that a finished stage offers."""
        folder = self.locate_stage(name)
        files = {}
        for artefact, one in json.loads((folder / "artefacts.json").read_text())["artefacts"].items():
            root = folder / one["path"]
            for path in [root] if root.is_file() else sorted(root.rglob("*")):
                if path.is_file():
                    files[os.path.normpath(f"{artefact}/{path.relative_to(root)}")] = path
        return files

    def read_artefact(self, name: str, path: Path) -> bytes:
        """A file as any place would have it: paths of this one are taken out."""
        content = path.read_bytes()
        for own, word in ((self.locate_stage(name), b"STAGE"), (self.folder, b"PLACE")):
            content = content.replace(os.fsencode(own), word)
        return content

    def compare(self, kind: Kind, straight: Place) -> list[str]:
        """Failures of the kind's finished stage against the straight run: files that differ, byte for byte."""
        try:
            own, other = self.list_artefacts(kind.stage), straight.list_artefacts(kind.stage)
        except (OSError, ValueError) as error:
            return [f"lost: {error}"]
        differ = [
            name
            for name in sorted({*own, *other})
            if name not in own
            or name not in other
            or (
                not any(fnmatch.fnmatch(name, pattern) for pattern in kind.varies)
                and self.read_artefact(kind.stage, own[name]) != straight.read_artefact(kind.stage, other[name])
            )
        ]
        return [f"lost: {', '.join(differ[:8])} differ from the straight run"] if differ else []


def end(started: Started, limit: float = 900) -> Ended:
    """Wait for a run that nothing is to disturb any more."""
    status = started.wait(limit)
    failures = []
    if status is None:
        failures.append(f"stuck: still running after {limit:.0f} s")
        started.process.kill()
        started.process.wait()
    return Ended(status, started.read(), [*failures, *started.judge(status or 0)])


class Straight(Place):
    """The straight run: every stage once, undisturbed, and how long each took, start-up and report included.

    Attributes:
        seconds: stage → seconds that its ``mindgpt run`` took.
        loaded: stage → seconds until its process had loaded everything and wrote its first line of metrics.
    """

    def __init__(self, folder: Path, kinds: list[str]):
        wanted = {name for kind in kinds for name in (*KINDS[kind].reads, KINDS[kind].stage)}
        super().__init__(folder, tuple(name for name in list_stages() if name in wanted))
        self._times = folder / "times.json"
        times = json.loads(self._times.read_text()) if self._times.exists() else {"seconds": {}, "loaded": {}}
        self.seconds: dict[str, float] = times["seconds"]
        self.loaded: dict[str, float] = times["loaded"]

    def make(self, stage: str) -> None:
        """Run to a stage and note the times, if that was not done yet.

        Raises:
            RuntimeError: it did not end well.
        """
        if stage in self.seconds:
            return
        if self.runs.is_dir():
            self.clear_stage(stage)  # half of it says nothing about the time
        began = time.monotonic()
        run = self.start("--until", stage)
        loaded = None
        while run.wait(0.1) is None:
            if loaded is None and any((self.runs / "stages").glob(f"{stage}-*/metrics.jsonl")):
                loaded = time.monotonic() - began
        took = time.monotonic() - began
        if failures := end(run).must_succeed():
            raise RuntimeError(f"the straight run failed at {stage}: {failures}\n{run.read()[-3000:]}")
        self.seconds[stage], self.loaded[stage] = round(took, 1), round(took if loaded is None else loaded, 1)
        self._times.write_text(json.dumps({"seconds": self.seconds, "loaded": self.loaded}))

    def lay_out(self, kind: Kind, folder: Path, *, finished: bool = False) -> Place:
        """A place in an empty folder with the finished stages that a kind reads, and with its own one if asked for."""
        place = Place(folder, (*kind.reads, kind.stage))
        for name in (*kind.reads, *([kind.stage] if finished else [])):
            source = self.locate_stage(name)
            shutil.copytree(source, place.runs / "stages" / source.name, symlinks=True)
        return place
