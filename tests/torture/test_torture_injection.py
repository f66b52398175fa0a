"""How the torture run judges: what counts as a failure, and that it is in the table."""

from __future__ import annotations

import json
from pathlib import Path

from injection.kinds import KINDS, NOT_TRIED, list_stages
from injection.place import Place
from injection.table import Result, append_result, load_results, write_page
from injection.trial import Trial, judge_words

from mindgpt_plugins.core.builtins import BUILTINS


def make_place(folder: Path, content: bytes) -> Place:
    place = Place(folder, ("world",))
    stage = place.runs / "stages" / "world-0123456789ab"
    (stage / "out").mkdir(parents=True)
    (stage / "out/a").write_bytes(content)
    (stage / "artefacts.json").write_text(json.dumps({"artefacts": {"sets": {"path": "out", "files": {}}}}))
    return place


def test_every_kind_is_tried_or_said_not_to_be() -> None:
    kinds = set(BUILTINS["stage"])
    assert {*KINDS, *NOT_TRIED} == kinds
    assert {kind.stage for kind in KINDS.values()} == set(list_stages())


def test_a_byte_more_is_a_loss_and_a_path_of_its_own_is_none(tmp_path: Path) -> None:
    straight = make_place(tmp_path / "straight", b"at %s" % bytes(tmp_path / "straight" / "runs"))
    same = make_place(tmp_path / "same", b"at %s" % bytes(tmp_path / "same" / "runs"))
    other = make_place(tmp_path / "other", b"at %s." % bytes(tmp_path / "other" / "runs"))
    assert same.compare(KINDS["world"], straight) == []
    assert other.compare(KINDS["world"], straight) == ["lost: sets/a differ from the straight run"]
    (other.runs / "stages/world-0123456789ab/out/a").unlink()
    assert other.compare(KINDS["world"], straight) == ["lost: sets/a differ from the straight run"]


def test_an_end_without_a_word_is_silent() -> None:
    assert judge_words(1, "all is well\n") == ["silent: exit status 1 without an error"]
    assert judge_words(1, "Traceback (most recent call last):\nerror: no\n") == ["silent: traceback"]
    assert judge_words(1, "error: stage 'a' failed:\n    Traceback (most recent call last):\n") == []
    assert judge_words(143, "") == [] == judge_words(0, "done")


def test_the_page_counts_what_failed_and_says_it_without_paths(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    late = Trial("too late", counts=False)
    append_result(file, Result("world", "kills", [Trial("a"), Trial("b", [f"stuck: at {tmp_path}/x"]), late], 1.0))
    append_result(file, Result("world", "disk", [], 0.0, "mounting is refused"))
    with file.open("a") as half:
        half.write('{"kind": "wor')
    columns = {"kills": ("kills", "At random."), "disk": ("full disk", "A small one.")}
    page = write_page(load_results(file), columns, {"world": 3.2}, "head", tmp_path)
    assert "| kind | s | kills | full disk |" in page and "* **full disk**: A small one." in page
    assert "| `world` | 3 | 2, **1 stuck** | not run |" in page and "| `rl` | | not run | not run |" in page
    assert "**2 trials: 0 lost, 1 stuck, 0 silent, 0 left.**" in page
    assert "`world` under disk: mounting is refused" in page
    assert "* `world`, kills, b: stuck: at …/x" in page and str(tmp_path) not in page
