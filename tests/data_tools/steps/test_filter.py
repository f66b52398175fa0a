"""The filter step on a work folder, its answers from a stub server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindgpt_data.export import list_sets, read_preference_set
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.rows import Row
from mindgpt_data.steps.export import run as export
from mindgpt_data.steps.filter import run
from mindgpt_data.testing.stub import StubServer
from support.gate_helpers import record, row

from mindgpt_plugins.core import files
from mindgpt_plugins.core.files import FileError
from mindgpt_plugins.core.registry import RegistryError, register


def corpus(folder: Path, rows: list[Row]) -> Work:
    folder.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(image for one in rows for image in one.image if not image.startswith("missing"))
    files.write_jsonl(folder / "images.jsonl", (record(folder, n, i).to_json() for i, n in enumerate(names)))
    files.write_jsonl(folder / "candidates.jsonl", (one.to_json() for one in rows))
    return Work(folder)


def config(gates: list[str], url: str = "http://127.0.0.1:1/v1", **options: Any) -> DataSettings:
    endpoint = {"base_url": url, "model": "stub", "max_attempts": 2, "timeout": 5}
    chosen = [{"name": gate, "options": options.get(gate, {})} for gate in gates]
    return DataSettings.model_validate(
        {"images": {"path": "x"}, "endpoints": {"teacher": [endpoint]}, "filter": {"gates": chosen}}
    )


def judged(body: dict[str, Any]) -> str:
    grade = 2 if "vehicle bad" in json.dumps(body["messages"]) else 5
    names = ("correctness", "grounding", "clarity", "answerability")
    return json.dumps(dict.fromkeys(names, grade) | {"problem": "x"})


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["u", "v", "w", "x", "y"]),
            st.sampled_from(["4", "many", ""]),
            st.sampled_from(["How many?", "how  many", "Where is the red car?"]),
            st.sampled_from(["a.png", "b.png", "missing.png"]),
        ),
        max_size=8,
    )
)
def test_nothing_disappears(tmp_path_factory: pytest.TempPathFactory, made: list[tuple[str, str, str, str]]) -> None:
    rows = [row(u, i, answer=a, response=f"answer: {a}", question=q) for u, a, q, i in made]
    work = corpus(tmp_path_factory.mktemp("work"), rows)
    summary = run(work, config(["rules", "duplicates", "decontaminate"]))
    kept, drops = list(work.read_rows(work.kept, "filter")), work.read_drops("filter")
    assert len(kept) + len(drops) == summary["candidates"] == len(rows)
    assert sorted([r.uid for r in kept] + [d.key for d in drops]) == sorted(r.uid for r in rows)
    inside = len(rows)
    for gate in summary["funnel"]:
        assert gate["in"] == inside
        inside = gate["out"]
        assert gate["in"] - gate["out"] == sum(dropped["count"] for dropped in gate["dropped"])
        assert all(dropped["examples"] for dropped in gate["dropped"])
    assert inside == summary["kept"] == len(kept)
    order = [r.uid for r in rows]
    assert [r.uid for r in kept] == sorted((r.uid for r in kept), key=order.index)


def test_a_model_is_asked_once_and_only_failures_again(tmp_path: Path) -> None:
    rows = [row(f"{kind} {i}", f"{i}.png") for i in range(6) for kind in ("good", "bad")]
    work = corpus(tmp_path, rows)
    broken: set[str] = {"vehicle good 3", "vehicle bad 4"}

    def reply(body: dict[str, Any]) -> str:
        return "no" if any(one in json.dumps(body["messages"]) for one in broken) else judged(body)

    with StubServer(reply=reply) as server:
        found = config(["rules", "judge"], server.url)
        summary = run(work, found)
        assert (summary["kept"], summary["failed"]) == (5, 2)
        failed = [d for d in work.read_drops("filter") if d.reason.startswith("no verdict")]
        assert [d.key for d in failed] == ["bad 4", "good 3"] or [d.key for d in failed] == ["good 3", "bad 4"]
        broken.clear()
        before = server.requests
        again = run(work, found)
        assert server.requests == before + 2
        assert (again["kept"], again["failed"]) == (6, 0)
        bytes_then = work.kept.read_bytes(), work.drops("filter").read_bytes()
        run(work, found)
        assert server.requests == before + 2
        assert (work.kept.read_bytes(), work.drops("filter").read_bytes()) == bytes_then
    assert {spent["step"] for spent in again["usage"]} == {"filter.judge"}
    gates = json.loads(work.summary("filter").read_text())["settings"]["gates"]
    assert [gate["name"] for gate in gates] == ["rules", "judge"]


def test_right_and_wrong_replies_become_a_preference_set(tmp_path: Path) -> None:
    work = corpus(tmp_path, [row("a"), row("b", question="Which number?")])

    def reply(body: dict[str, Any]) -> str:
        return "answer: 5" if "Which number" in json.dumps(body) else "answer: 4"

    with StubServer(reply=reply) as server:
        summary = run(work, config(["agreement"], server.url, agreement={"samples": 4, "consensus": 0.0}))
    assert summary["pairs"] == 0 and not work.pairs.exists()
    pair = {"uid": "a", "chosen": "so it is. answer: 4", "rejected": "answer: 5"}
    files.write_jsonl(work.pairs, [pair, pair | {"uid": "gone"}])
    made = export(work, config([]))
    assert made["sets"]["data_pairs"] == {"items": 1, "images": 1}
    (found,) = read_preference_set(work.datasets, "data_pairs")
    assert (found.row.uid, found.chosen, found.rejected) == ("a", pair["chosen"], "answer: 5")
    work.pairs.unlink()
    assert "data_pairs" not in export(work, config([]))["sets"]
    assert list_sets(work.datasets) == ["data_train"]


def test_agreement_sets_the_difficulty_that_is_written(tmp_path: Path) -> None:
    work = corpus(tmp_path, [row("a"), row("b", question="Which number?", answer="7", response="answer: 7")])
    with StubServer(reply=lambda body: "it has four wheels\nanswer: 4") as server:
        summary = run(work, config(["agreement"], server.url, agreement={"samples": 4}))
    assert [(r.uid, r.difficulty) for r in work.read_rows(work.kept, "filter")] == [("a", 0.0)]
    assert summary["funnel"][-1]["dropped"][0]["reason"] == "consensus below 0.5"


def test_a_gate_of_one_s_own_that_raises_costs_one_row(tmp_path: Path) -> None:
    @register("gate", "picky")
    def picky(item: Any, *, word: str = "wheels") -> str | None:
        if item.row.uid == "b":
            raise KeyError("colour")
        return None if word in item.row.question else f"does not say {word}"

    work = corpus(tmp_path, [row("a"), row("b"), row("c", question="How many?")])
    run(work, config(["picky"]))
    assert [r.uid for r in work.read_rows(work.kept, "filter")] == ["a"]
    assert {d.key: d.reason for d in work.read_drops("filter")} == {
        "b": "no verdict: KeyError: 'colour'",
        "c": "does not say wheels",
    }


def test_wrong_settings_are_refused_before_anything_is_judged(tmp_path: Path) -> None:
    work = corpus(tmp_path, [row("a")])
    with pytest.raises(RegistryError, match="no option 'leest'.*least"):
        run(work, config(["judge"], judge={"leest": 2}))
    with pytest.raises(RegistryError, match="no gate 'juge'.*judge"):
        run(work, config(["juge"]))
    with pytest.raises(ValueError, match="add endpoints.judge"):
        run(work, DataSettings.model_validate({"images": {"path": "x"}, "filter": {"gates": ["judge"]}}))


def test_rows_of_another_schema_name_file_line_and_field(tmp_path: Path) -> None:
    work = corpus(tmp_path, [row("a")])
    data = row("b").to_json()
    for change, message in (
        ({"schema": 3}, "row schema 3; this version reads 1 to 2"),
        ({"ids": "high"}, "field 'ids' must be"),
        ({"colour": "red"}, "unknown field 'colour'"),
    ):
        files.write_jsonl(work.candidates, [row("a").to_json(), data | change])
        with pytest.raises(ValueError, match=f"candidates.jsonl line 2.*{message}"):
            run(work, config(["rules"]))
    work.candidates.write_bytes(b'{"uid": "\xff"}\n')
    with pytest.raises(FileError, match="line 1: not JSON in UTF-8"):
        run(work, config(["rules"]))


def test_rows_of_schema_1_are_read() -> None:
    old = {k: v for k, v in row("a").to_json().items() if k not in ("schema", "video", "boxes")}
    assert Row.from_json(old) == row("a")
    assert Row.from_json(old | {"schema": 1}) == row("a")
