import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.embed import load_embedder
from mindgpt_data.io.work import Work
from mindgpt_data.matching import index, text
from mindgpt_data.matching.choose import Found, choose_topics
from mindgpt_data.matching.phrases import extract_phrases
from mindgpt_data.pictures import KINDS
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.steps import match as step
from mindgpt_data.testing.stub import StubServer, find_prompt
from mindgpt_data.tree.checks import build_tree
from mindgpt_data.world import folder
from mindgpt_data.world.labels import load_world_tree
from support.world_lines import read_world_lines

from mindgpt_plugins.core.files import write_jsonl


def _work(base: Path, source: str = "domain", images: int = 12) -> tuple[Work, list[ImageRecord], dict]:
    lines = read_world_lines(folder.write_source_corpus(base / source, images, source=source, seed=1))
    records = [
        ImageRecord(paths=[str(base / source / line["image"])], width=96, height=96, content=line["group"], **line)
        for line in lines
    ]
    work = Work(base / "work")
    write_jsonl(work.images, (record.to_json() for record in records))
    tree = base / "tree.yaml"
    tree.write_text((Path(folder.__file__).parent / "knowledge.yaml").read_text())
    return work, records, {"images": {"path": "x"}, "tree": {"knowledge": str(tree)}}


def _leaf(label: str) -> str:
    return KINDS[label.removesuffix(" sign").replace(" ", "_")].leaf


def test_words_find_the_leaves_that_the_world_truly_shows(tmp_path) -> None:
    work, records, data = _work(tmp_path, images=40)
    summary = step.run(work, DataSettings.model_validate(data))
    found = work.read_matches()
    assert list(found) == [record.image for record in records]
    right = wrong = missed = 0
    for record in records:
        true = {_leaf(o["label"]) for o in record.objects}
        topics = [topic["leaf"] for topic in found[record.image]]
        assert topics[0] in true
        assert all(topic["evidence"] for topic in found[record.image])
        right, wrong = right + len(true & {*topics}), wrong + len({*topics} - true)
        missed += len(true - {*topics}) if len(topics) < 3 else 0
    assert wrong <= 0.02 * right
    assert missed <= 0.02 * right
    assert summary["matched"] == 40
    first = work.matches.read_bytes()
    step.run(work, DataSettings.model_validate(data), seed=5)
    assert work.matches.read_bytes() == first


def test_images_without_words_or_with_foreign_words_get_no_topic_and_a_reason(tmp_path) -> None:
    work, records, data = _work(tmp_path, images=3)
    bare = replace(records[0], objects=[], texts=[], tags=[], captions=[])
    foreign = replace(records[1], objects=[], texts=[], tags=["fortepiano"], captions=[])
    write_jsonl(work.images, (record.to_json() for record in (bare, foreign, records[2])))
    step.run(work, DataSettings.model_validate(data))
    assert [bool(topics) for topics in work.read_matches().values()] == [False, False, True]
    drops = {drop.key: drop for drop in work.read_drops("match")}
    assert drops[bare.image].gate == "words"
    assert drops[foreign.image].gate == "similarity"
    assert "fortepiano" in drops[foreign.image].detail


def test_phrases_are_cut_from_captions_and_cleaned() -> None:
    record = ImageRecord(
        "a", ["/a"], 1, 1, "h", tags=["Traffic_Light", "12", ""],
        captions=["A photo of two dogs and a cat on the mat at the left."],
    )  # fmt: skip
    assert extract_phrases(record) == ["traffic light", "dogs", "cat", "mat"]


def test_the_beam_with_full_widths_is_exhaustive_search() -> None:
    tree, model = load_world_tree("knowledge"), load_embedder("static")
    topics = index.Index(tree, model.encode(index.format_node_texts(tree)))
    (query,) = text.encode_phrases(["bus"], model)
    hits = topics.beam(query, (99, 99, 99))
    scores = topics.vectors[tree.leaf_rows] @ query
    assert [hit.score for hit in hits] == pytest.approx(sorted(scores.tolist(), reverse=True))
    assert {hit.row for hit in hits} == set(tree.leaf_rows.tolist())
    assert len(topics.beam(query, (1, 1, 2))) <= 2


def test_vectors_are_cached_by_the_trees_content(tmp_path) -> None:
    tree, calls = load_world_tree("knowledge"), []

    def encode(texts):
        calls.append(len(texts))
        return load_embedder("static").encode(texts)

    one = index.build_topic_index(tree, encode, "m", tmp_path)
    two = index.build_topic_index(tree, encode, "m", tmp_path)
    assert len(calls) == 1
    assert np.array_equal(one.vectors, two.vectors)
    index.build_topic_index(tree, encode, "another", tmp_path)
    assert len(calls) == 2


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.floats(0, 1)), max_size=12),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_chosen_topics_are_the_best_fits(found, limit, least) -> None:
    chosen = choose_topics([Found(leaf, fit, "", s) for leaf, fit, s in found], Counter(), least_fit=least, limit=limit)
    best: dict[str, int] = {}
    for leaf, fit, _ in found:
        best[leaf] = max(best.get(leaf, 0), fit)
    want = sorted((fit for fit in best.values() if fit >= least), reverse=True)[:limit]
    assert [topic.fit for topic in chosen] == want
    assert len({topic.leaf for topic in chosen}) == len(chosen)


def test_ties_go_to_the_leaf_that_has_had_least() -> None:
    counts = Counter({"a": 2})
    tie = [Found("a", 3, "", 0.81), Found("b", 3, "", 0.80)]
    assert [f.leaf for f in choose_topics(tie, counts, least_fit=2, limit=1)] == ["b"]
    assert counts == {"a": 2, "b": 1}
    clear = [Found("a", 3, "", 0.95), Found("b", 3, "", 0.70)]
    assert [f.leaf for f in choose_topics(clear, counts, least_fit=2, limit=1)] == ["a"]


def _options(body: dict) -> list[str]:
    schema = body["response_format"]["json_schema"]["schema"]
    return schema["properties"]["topics"]["items"]["properties"]["topic"]["enum"]


def _judge(body: dict) -> str:
    """Knows the picture's leaves by nothing but the answer key: it always goes for vehicles and stop signs."""
    options = _options(body)
    wanted = [o for o in options if o in ("vehicles", "vehicles.road", "vehicles.road.bus", "vehicles.road.car")]
    if "How well" not in find_prompt(body):
        return json.dumps({"topics": [{"topic": o} for o in wanted]})
    fits = {"vehicles.road.bus": 3, "vehicles.road.car": 1}
    topics = [{"topic": o, "evidence": f"a {o.split('.')[-1]}", "fit": fits.get(o, 0)} for o in wanted]
    return json.dumps({"topics": topics})


def _with_server(data: dict, server: StubServer, **match: object) -> DataSettings:
    endpoint = {"base_url": server.url, "model": "stub", "max_in_flight": 4}
    return DataSettings.model_validate({**data, "match": match, "endpoints": {"judge": [endpoint]}})


def test_the_judge_alone_descends_the_tree(tmp_path) -> None:
    work, records, data = _work(tmp_path, images=3)
    with StubServer(reply=_judge, keep=True) as server:
        summary = step.run(work, _with_server(data, server, matcher="judge"))
        again = server.requests
        step.run(work, _with_server(data, server, matcher="judge"))
        assert server.requests == again, "answers are stored"
    want = [{"leaf": "vehicles.road.bus", "fit": 3, "evidence": "a bus"}]
    assert work.read_matches() == {record.image: want for record in records}
    assert summary["usage"][0]["done"] == 9
    for body in server.bodies:
        pictures = [part for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
        assert len(pictures) == 1
        assert set(_options(body)) <= set(load_world_tree("knowledge").nodes)


def test_verification_overrules_similarity(tmp_path) -> None:
    work, records, data = _work(tmp_path, images=12)

    def doubts(body: dict) -> str:
        topics = [{"topic": o, "evidence": "seen", "fit": 3 if "signs" in o else 0} for o in _options(body)]
        return json.dumps({"topics": topics})

    with StubServer(reply=doubts) as server:
        step.run(work, _with_server(data, server, verify=True))
    found = work.read_matches()
    for record in records:
        true = {_leaf(o["label"]) for o in record.objects if o["label"].endswith("sign")}
        assert {topic["leaf"] for topic in found[record.image]} >= true
        assert all("signs" in topic["leaf"] for topic in found[record.image])
    assert {drop.gate for drop in work.read_drops("match")} == {"fit"}


def test_a_judge_that_talks_nonsense_costs_only_that_image(tmp_path) -> None:
    work, records, data = _work(tmp_path, images=2)

    def half(body: dict) -> str:
        picture = body["messages"][-1]["content"][0]["image_url"]["url"]
        return _judge(body) if picture == first else '{"topics": [{"topic": "dragons"}]}'

    from mindgpt_data.client.images import make_data_url

    first = make_data_url(Path(records[0].paths[0]), 524_288)
    with StubServer(reply=half) as server:
        settings = _with_server(data, server, matcher="judge")
        endpoint = settings.endpoints["judge"][0].model_copy(update={"max_attempts": 2})
        step.run(work, settings.model_copy(update={"endpoints": {"judge": (endpoint,)}}))
    assert [bool(topics) for topics in work.read_matches().values()] == [True, False]
    (drop,) = work.read_drops("match")
    assert drop.gate == "judge"
    assert "dragons" in drop.detail


def test_paper_scale_matches_in_seconds(tmp_path) -> None:
    """38k leaves: the tree is embedded once, and an image takes about a millisecond."""
    import time

    nodes = []
    for a in range(16):
        nodes.append({"id": f"{a}", "level": 1, "name": f"field {a}", "definition": "x"})
        for b in range(12):
            nodes.append({"id": f"{a}.{b}", "level": 2, "parent": f"{a}", "name": f"area {a} {b}", "definition": "x"})
            leaves = range(200)
            nodes += [
                {
                    "id": f"{a}.{b}.{c}",
                    "level": 3,
                    "parent": f"{a}.{b}",
                    "name": f"topic {a} {b} {c}",
                    "definition": "x",
                }
                for c in leaves
            ]
    tree, model = build_tree("knowledge", nodes), load_embedder("static")
    topics = index.build_topic_index(tree, model.encode, model.name, tmp_path)
    queries = text.encode_phrases([f"topic 3 5 {i}" for i in range(5)], model)
    started = time.process_time()
    for query in queries:
        for _ in range(100):
            topics.beam(query, (3, 5, 20))
    assert time.process_time() - started < 5
    assert len(tree.leaf_rows) == 38_400
