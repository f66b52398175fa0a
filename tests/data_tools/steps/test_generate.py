"""Step generate with the annotations teacher, a third-party function, and a model behind the stub server."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from mindgpt_data.io.work import DENSITY_COLUMNS, Work
from mindgpt_data.schema.config import DataSettings, TeacherChoice
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import SUB_SCORES, Row
from mindgpt_data.steps import budget, generate
from mindgpt_data.steps.preview import preview_generation, write_preview_page
from mindgpt_data.teachers.base import Candidate, Job, build_teacher
from mindgpt_data.teachers.slots import SlotError
from mindgpt_data.testing.stub import StubServer, find_prompt
from mindgpt_data.world import folder
from support.world_lines import read_world_lines

from mindgpt_plugins.core.files import read_jsonl, write_jsonl, write_table
from mindgpt_plugins.core.registry import RegistryError, register

CAPABILITY = str(Path(folder.__file__).parent / "capability.yaml")
KNOWLEDGE = str(Path(folder.__file__).parent / "knowledge.yaml")


def _work(base: Path, images: int = 8, source: str = "domain") -> tuple[Work, dict]:
    lines = read_world_lines(folder.write_source_corpus(base / "corpus", images, source=source, seed=2))
    records = [
        ImageRecord(paths=[str(base / "corpus" / line["image"])], width=96, height=96, content=line["group"], **line)
        for line in lines
    ]
    work = Work(base / "work")
    write_jsonl(work.images, (record.to_json() for record in records))
    scores = [{"subjects": 2.0, "spatial": 1.5, "text": 0.0 if source == "domain" else 1.0, "knowledge": 2.0}] * images
    rows = [
        {"image": r.image, **s, "ids": 0.1 + 0.8 * i / images}
        for i, (r, s) in enumerate(zip(records, scores, strict=True))
    ]
    write_table(work.density, rows, DENSITY_COLUMNS)
    topics = [
        {"leaf": "vehicles.road.bus", "fit": 3, "evidence": "bus"},
        {"leaf": "vehicles.road.car", "fit": 2, "evidence": "car"},
    ]
    write_jsonl(work.matches, ({"image": r.image, "topics": topics} for r in records))
    data = {"images": {"path": "x"}, "tree": {"knowledge": KNOWLEDGE, "capability": CAPABILITY}}
    budget.run(work, DataSettings.model_validate({**data, "budget": {"items": 3 * images}}))
    return work, data


def _rows(work: Work) -> list[Row]:
    return list(work.read_rows(work.candidates, "generate"))


def test_annotations_fill_the_budget_in_input_order_and_always_alike(tmp_path) -> None:
    work, data = _work(tmp_path)
    settings = DataSettings.model_validate(data)
    summary = generate.run(work, settings, seed=4)
    rows = _rows(work)
    assert summary["items"] == len(rows)
    assert summary["items"] + len(work.read_drops("generate")) == summary["asked"] == 24
    asked = work.read_budget()
    order = [row.image[0] for row in rows]
    assert order == sorted(order, key=list(asked).index)
    assert len({row.uid for row in rows}) == len(rows)
    for row in rows:
        assert row.response.endswith(f"answer: {row.answer}")
        assert row.split == "train"
        assert (row.boxes == "relative_1000") == (row.answer_type == "box")
    first = work.candidates.read_bytes()
    generate.run(work, settings, seed=4)
    assert work.candidates.read_bytes() == first
    generate.run(work, settings, seed=5)
    assert work.candidates.read_bytes() != first


def test_video_and_several_pictures_pass_through(tmp_path) -> None:
    work, data = _work(tmp_path, 2)
    first, second = work.read_images()
    both = replace(first, paths=[*first.paths, *second.paths], video=["clip.mp4"], split="dev")
    write_jsonl(work.images, (record.to_json() for record in (both, second)))
    generate.run(work, DataSettings.model_validate(data))
    rows = _rows(work)
    assert {(tuple(row.video), row.split) for row in rows if row.image == [first.image]} == {(("clip.mp4",), "dev")}
    assert {(tuple(row.video), row.split) for row in rows if row.image == [second.image]} == {((), "train")}


def test_images_that_earlier_steps_left_out_are_named(tmp_path) -> None:
    work, data = _work(tmp_path, 2)
    extra = replace(work.read_images()[0], image="late.png")
    write_jsonl(work.images, (record.to_json() for record in (*work.read_images(), extra)))
    generate.run(work, DataSettings.model_validate(data))
    assert [drop.reason for drop in work.read_drops("generate") if drop.key == "late.png"] == [
        "no density for this image"
    ]


@register("teacher", "test_function")
def _function(job: Job, *, word: str = "what") -> list[Candidate]:
    if job.record.image.endswith("1.png"):
        raise RuntimeError("no idea")
    good = [Candidate(f"{word} {i}?", str(i), "perception.count", "number") for i in range(20)]
    return [
        *good,
        Candidate("", "x", "perception.count"),
        Candidate("where?", "[5, 5]", "spatial.position", "box"),
        Candidate("who?", "x", "dreaming"),
        Candidate("hm?", "x", "perception.count", knowledge="nowhere"),
    ]


def test_a_function_is_a_teacher_and_its_mistakes_are_drops(tmp_path) -> None:
    work, data = _work(tmp_path, 3)
    data["generate"] = {"teacher": {"name": "test_function", "options": {"word": "how"}}, "verbose": 0}
    generate.run(work, DataSettings.model_validate(data))
    rows = _rows(work)
    budgets = work.read_budget()
    assert len(rows) == sum(budgets[f"domain-0000{i}.png"]["items"] for i in (0, 2))
    assert all(row.question.startswith("how") for row in rows)
    reasons = [drop.reason for drop in work.read_drops("generate")]
    for reason in ("the teacher failed", "empty question or answer", "box answer is no box in this picture",
                   "capability is not in the tree", "topic is not in the tree"):  # fmt: skip
        assert reason in reasons


def test_a_teacher_is_checked_before_it_is_used() -> None:
    with pytest.raises(RegistryError, match="no option 'wort'; did you mean 'word'"):
        build_teacher(TeacherChoice(name="test_function", options={"wort": "x"}))
    register("teacher", "test_two")(lambda job, other: [])
    with pytest.raises(RegistryError, match="exactly one positional parameter"):
        build_teacher(TeacherChoice(name="test_two"))
    register("teacher", "test_empty")(type("Empty", (), {"__init__": lambda self: None}))
    with pytest.raises(RegistryError, match=r"needs a method propose\(job\) or task\(job\)"):
        build_teacher(TeacherChoice(name="test_empty"))


SLOT = re.compile(
    r"^slot_(\d+): capability (\S+) .*; topic (\S+)(?: \(.*\))?; (verifiable|open): .*difficulty (\d)", re.M
)


def _write(body: dict, spoil=lambda number, pair: pair) -> str:
    """Serves every slot in the prompt; ``spoil`` may change or drop (None) a pair."""
    pairs = {}
    for number, capability, topic, _, level in SLOT.findall(find_prompt(body)):
        picture = body["messages"][-1]["content"][0]["image_url"]["url"][-24:-8]
        pair = {
            "capability": capability, "topic": topic, "question": f"{number} of {picture}?",
            "rationale": "I see it.", "answer": "seven", "answer_type": "text", "difficulty": int(level),
        }  # fmt: skip
        pair = spoil(int(number), pair)
        pairs["slot_77" if pair and pair.pop("other", False) else f"slot_{number}"] = pair
    return json.dumps(pairs)


def _served(data: dict, server: StubServer, **generate_: object) -> DataSettings:
    endpoint = {"base_url": server.url, "model": "stub", "max_in_flight": 4, "max_attempts": 3, "price_in": 1.0}
    section = {"teacher": "endpoint", **generate_}
    return DataSettings.model_validate({**data, "generate": section, "endpoints": {"teacher": [endpoint]}})


def test_a_model_fills_exactly_the_slots_and_a_second_run_asks_nothing(tmp_path) -> None:
    work, data = _work(tmp_path)
    with StubServer(reply=_write, keep=True) as server:
        settings = _served(data, server, open=0.3, verbose=1)
        summary = generate.run(work, settings)
        rows, first, requests = _rows(work), work.candidates.read_bytes(), server.requests
        assert len(rows) == summary["items"] == summary["asked"] == 24
        assert requests == 8, "one request per image"
        for body in server.bodies:
            content = body["messages"][-1]["content"]
            assert [part["type"] for part in content] == ["image_url", "text"], "the image is sent once"
        generate.run(work, settings)
        assert (work.candidates.read_bytes(), server.requests) == (first, requests)
    families = work.read_budget()
    density = {"perception": "subjects", "spatial": "spatial", "text": "text", "knowledge": "knowledge"}
    for image, row in families.items():
        mine = [density[r.capability.split(".")[0]] for r in rows if r.image == [image]]
        assert {d: mine.count(d) for d in SUB_SCORES} == {d: row[d] for d in SUB_SCORES}
    assert {row.knowledge for row in rows} == {"vehicles.road.bus", "vehicles.road.car"}
    assert {row.type for row in rows} == {"verifiable", "open"}
    assert {row.difficulty for row in rows} <= {0, 0.25, 0.5, 0.75, 1}
    assert rows[0].response == "I see it. answer: seven"
    assert summary["usage"][0]["done"] == summary["estimate"]["requests"] == 8


def test_missing_and_bad_pairs_are_asked_for_again_with_what_was_asked(tmp_path) -> None:
    work, data = _work(tmp_path, 4)

    def spoil(number: int, pair: dict) -> dict | None:
        if number == 1:
            return pair | {"capability": "spatial.position" if "spatial" not in pair["capability"] else "text.reading"}
        return None if number == 2 else pair

    def reply(body: dict) -> str:
        first = "Already asked" not in find_prompt(body)
        return _write(body, spoil) if first else _write(body, lambda n, p: p | {"question": f"again {p['question']}"})

    with StubServer(reply=reply, keep=True) as server:
        generate.run(work, _served(data, server))
        assert server.requests == 8
        later = [find_prompt(body) for body in server.bodies if "Already asked" in find_prompt(body)]
    assert len(later) == 4
    assert all(len(SLOT.findall(text)) == 2 for text in later)
    assert any("elsewhere" in text for text in later)
    rows = _rows(work)
    assert len(rows) == 12
    assert sum(row.question.startswith("again") for row in rows) == 8
    assert {drop.reason for drop in work.read_drops("generate")} == {"another capability than its slot's"}


BAD = {
    "answer type yesno, but the answer is neither": {"answer_type": "yesno", "answer": "maybe"},
    "answer type number, but the answer is no number": {"answer_type": "number", "answer": "a few"},
    "answer type box, but the answer is no box": {"answer_type": "box", "answer": "[1, 2]"},
    "box answer is no box in this picture": {"answer_type": "box", "answer": "[900, 900, 1800, 1900]"},
    "question over 300 characters": {"question": "x" * 301},
    "empty question": {"question": "  "},
    "a slot that was not asked for": {"other": True},
    "another topic than its slot's": {"topic": "vehicles.rail.tram"},
    "pair does not follow the schema": {"difficulty": 9},
}


@pytest.mark.parametrize("reason", BAD)
def test_each_bad_pair_is_dropped_with_its_reason_and_costs_no_other(tmp_path, reason) -> None:
    work, data = _work(tmp_path, 1)
    with StubServer(reply=lambda body: _write(body, lambda n, p: p | BAD[reason] if n == 1 else p)) as server:
        generate.run(work, _served(data, server, teacher={"name": "endpoint", "options": {"rounds": 1}}))
    assert len(_rows(work)) == 2
    assert [drop.reason for drop in work.read_drops("generate")] == [reason, "slot left empty"]


def test_a_failed_request_costs_only_its_image_and_is_tried_again_next_time(tmp_path) -> None:
    work, data = _work(tmp_path, 4)
    broken = []

    def reply(body: dict) -> str:
        key = body["messages"][-1]["content"][0]["image_url"]["url"]
        if not broken or key == broken[0]:
            broken[:] = [key]
            return "no json at all"
        return _write(body)

    with StubServer(reply=reply) as server:
        settings = _served(data, server)
        generate.run(work, settings)
        assert len({row.image[0] for row in _rows(work)}) == 3
        failed = [drop for drop in work.read_drops("generate") if drop.reason == "the teacher gave no usable answer"]
        assert len(failed) == 1
        server.reply, before = _write, server.requests
        generate.run(work, settings)
        assert server.requests == before + 1
    assert len({row.image[0] for row in _rows(work)}) == 4


def test_faults_on_the_way_lose_nothing(tmp_path) -> None:
    work, data = _work(tmp_path, 8)
    faults = {"500": 0.1, "invalid_json": 0.2, "wrong_schema": 0.2}
    with StubServer(reply=_write, faults=faults, seed=3) as server:
        settings = _served(data, server)
        endpoint = settings.endpoints["teacher"][0].model_copy(update={"max_attempts": 12})
        generate.run(work, settings.model_copy(update={"endpoints": {"teacher": (endpoint,)}}))
    assert len(_rows(work)) == 24


def test_the_estimate_builds_requests_and_sends_none(tmp_path) -> None:
    work, data = _work(tmp_path)
    with StubServer(reply=_write) as server:
        expected = generate.estimate_first_requests(work, _served(data, server))
        assert server.requests == 0
    assert expected is not None
    assert expected.requests == 8
    assert expected.prompt_tokens > 8 * 200
    assert expected.cost > 0
    assert generate.estimate_first_requests(work, DataSettings.model_validate(data)) is None


def test_a_batch_goes_out_and_comes_back_without_a_server(tmp_path) -> None:
    work, data = _work(tmp_path, 4)
    with StubServer() as server:
        settings = _served(data, server)
        (out,) = generate.export_batch(work, settings, tmp_path / "batch")
        answers = tmp_path / "batch" / "answers.jsonl"
        lines = [line for _, line in read_jsonl(out)]
        write_jsonl(answers, (
            {"custom_id": line["custom_id"], "error": None, "response": {"status_code": 200, "body": {
                "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1},
                "choices": [{"index": 0, "finish_reason": "stop",
                             "message": {"role": "assistant", "content": _write(line["body"])}}],
            }}} for line in lines))  # fmt: skip
        found = generate.import_batch(work, settings, [answers], tmp_path / "batch")
        assert (found.done, found.missing) == (4, 0)
        generate.run(work, settings)
        assert server.requests == 0
    assert len(_rows(work)) == 12
    with pytest.raises(ValueError, match="asks no model server"):
        generate.export_batch(work, DataSettings.model_validate(data), tmp_path / "none")


def test_capabilities_can_be_narrowed_to_leaves_and_branches(tmp_path) -> None:
    work, data = _work(tmp_path, 4)
    data["generate"] = {"capabilities": ["perception", "spatial.position", "knowledge"]}
    generate.run(work, DataSettings.model_validate(data))
    assert {row.capability.split(".")[0] for row in _rows(work)} <= {"perception", "spatial", "knowledge"}
    assert {row.capability for row in _rows(work) if row.capability.startswith("spatial")} == {"spatial.position"}
    with (
        StubServer(reply=_write) as server,
        pytest.raises(SlotError, match="no capability leaf has `density: spatial`"),
    ):
        generate.run(work, _served(data, server, capabilities=["perception"]))
    data["generate"] = {"capabilities": ["percepton"]}
    with pytest.raises(SlotError, match="did you mean 'perception'"):
        generate.run(work, DataSettings.model_validate(data))


def test_a_picture_that_is_gone_costs_only_itself(tmp_path) -> None:
    work, data = _work(tmp_path, 4)
    Path(work.read_images()[0].paths[0]).unlink()
    with StubServer(reply=_write) as server:
        settings = _served(data, server)
        assert generate.estimate_first_requests(work, settings) is not None
        generate.run(work, settings)
    assert len({row.image[0] for row in _rows(work)}) == 3
    (drop,) = [drop for drop in work.read_drops("generate") if drop.reason == "the teacher gave no usable answer"]
    assert "cannot be built" in drop.detail
    write_preview_page(preview_generation(work, settings, 4), tmp_path / "p.html")
    assert "cannot be built" in (tmp_path / "p.html").read_text()


def test_a_teacher_that_can_write_nothing_stops_the_run_and_says_why(tmp_path: Path) -> None:
    from mindgpt_data.steps.pipeline import run as run_all
    from mindgpt_data.world.folder import write_source_corpus

    write_source_corpus(tmp_path / "photos", 3)
    (tmp_path / "photos" / "manifest.jsonl").unlink()
    settings = DataSettings.model_validate(
        {"images": {"path": str(tmp_path / "photos")}, "density": {"estimator": "pixels"}}
    )
    with pytest.raises(ValueError, match=r"'annotations' wrote no question.*no objects.*generate.teacher=endpoint"):
        run_all(Work(tmp_path / "work"), settings)
