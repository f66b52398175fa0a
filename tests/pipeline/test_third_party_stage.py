"""A stage kind of another package on a side of its own: installed with pip, found by its entry point, run by verbs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import packages

PACKAGE = Path(__file__).parents[1] / "third_party_stage"
LINES = ("one", "two words", "three words here", "four words are here")
Verb = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    return packages.install(packages.copy_source(PACKAGE, folder / "source"), folder / "site")


@pytest.fixture
def verb(site: Path, tmp_path: Path) -> Verb:
    """Start ``mindgpt VERB tally.yaml …`` in a process of its own, in a folder with that recipe and its text."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "text.txt").write_text("\n".join(LINES))
    recipe = "name: tally\ndevice: cpu\nlaunch: {tally: {env: {TALLY_UNIT: tokens}}}\nstages:\n"
    (tmp_path / "tally.yaml").write_text(recipe + "  count: {kind: tally, text: texts/text.txt, pause: 0.3}\n")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])

    def start(name: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mindgpt_plugins.cli",
                name,
                *([] if name == "doctor" else ["tally.yaml"]),
                *arguments,
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "400"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def finished(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def test_it_is_planned_and_its_side_checked(verb: Verb) -> None:
    said = finished(verb("run", "--dry-run"))
    assert "tally" in said and "-m mindgpt_example_stage tally.json" in said
    unknown = verb("validate", "launch.talli.python=python3")
    said, _ = unknown.communicate(timeout=300)
    assert unknown.returncode != 0
    assert "launch.talli: no stage kind runs on that side; did you mean 'tally'?" in " ".join(said.split())


def test_doctor_says_that_it_runs_here(verb: Verb) -> None:
    said, _ = verb("doctor", "--quick", "--json").communicate(timeout=300)
    checks = {one["check"]: one for one in json.loads(said)["findings"]}
    assert "tally" in checks["stage kinds"]["detail"].removeprefix("run here: ").split(", ")


def test_it_runs_resumes_after_a_kill_and_is_reported(verb: Verb, tmp_path: Path) -> None:
    first = verb("run")
    deadline = time.monotonic() + 240
    while not (found := list(tmp_path.glob("runs/stages/count-*/metrics.jsonl"))) or not found[0].stat().st_size:
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()[0]
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    finished(verb("run"))
    folder = found[0].parent
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert len({line["process"] for line in lines}) == 2, "the second process went on from the first one's lines"
    # The side's environment reached the process.
    assert json.loads((folder / "words.json").read_text()) == {"unit": "tokens", "words": [1, 2, 3, 4]}
    assert json.loads((folder / "stage.json").read_text())["attempts"] == 2
    report = json.loads((tmp_path / "runs" / "tally" / "report.json").read_text())
    assert [(one["name"], one["kind"], one["status"]) for one in report["stages"]] == [("count", "tally", "done")]
    page = (tmp_path / "runs" / "tally" / "report.html").read_text()
    assert "count" in page and "tally.json" in page


def test_it_is_rehearsed_as_it_is_and_its_cost_is_not_counted(verb: Verb, tmp_path: Path) -> None:
    said = finished(verb("rehearse"))
    assert "not counted: kind tally says nothing about its cost" in said
    found = json.loads((tmp_path / "runs" / "rehearse" / "tally" / "rehearsal.json").read_text())
    count = {one["topic"]: one for one in found["findings"] if one["stage"] == "count"}
    assert found["proven"] and count["resume"]["state"] == "proven", count
    assert "went on to 4" in count["resume"]["text"]
    assert count["settings"]["state"] == "noted"
    assert count["settings"]["text"].startswith("kind tally does not say how it is made smaller")
    words = next((tmp_path / "runs" / "rehearse" / "tally" / "runs").glob("stages/count-*/words.json"))
    assert json.loads(words.read_text())["unit"] == "tokens"
    assert found["cost"][0]["counted"] is False


def test_a_host_that_it_needs_is_asked_for_before_anything_starts(verb: Verb, site: Path, tmp_path: Path) -> None:
    module = site / "mindgpt_example_stage" / "stage.py"
    text = module.read_text()
    try:
        module.write_text(text.replace("mindgpt-example-stage>=0.1", "mindgpt-example-stage>=0.2"))
        process = verb("run")
        said, _ = process.communicate(timeout=300)
    finally:
        module.write_text(text)
    assert process.returncode != 0
    assert "mindgpt-example-stage 0.1.0 is not supported (needs mindgpt-example-stage>=0.2)" in " ".join(said.split())
    assert not list(tmp_path.glob("runs/stages/*"))
