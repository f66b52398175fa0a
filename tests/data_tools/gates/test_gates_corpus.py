"""Gates that compare rows with each other and with evaluation sets."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.export import save_image, write_set
from mindgpt_data.gates.decontaminate import decontaminate
from mindgpt_data.gates.duplicates import duplicates
from mindgpt_data.gates.held_out import HeldOutError, list_ngrams, read_held_out_sets
from mindgpt_data.gates.picture_hash import PictureHashes, compute_perceptual_hash
from mindgpt_data.gates.similar import find_close_pairs, find_repeats
from PIL import Image
from support.gate_helpers import batch, noise, record, row

LONG = "Which of the seven small painted wooden boats in the harbour lies nearest to the white lighthouse?"


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 3))
def test_repeats_is_the_greedy_rule(kinds: list[int], seed: int) -> None:
    centres = np.random.default_rng(seed).normal(size=(6, 8)).astype(np.float32)
    vectors = centres[kinds].reshape(-1, 8)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first = {kind: kinds.index(kind) for kind in kinds}
    assert find_repeats(vectors, 0.999) == [None if first[k] == i else first[k] for i, k in enumerate(kinds)]


def test_repeats_over_blocks_equals_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = find_repeats(vectors, 0.9)
    monkeypatch.setattr("mindgpt_data.gates.similar.BLOCK", 16)
    assert find_repeats(vectors, 0.9) == whole
    kept = vectors[[i for i, found in enumerate(whole) if found is None]]
    assert (kept @ kept.T - 2 * np.eye(len(kept))).max() <= 0.9
    assert all(vectors[i] @ vectors[j] > 0.9 for i, j in enumerate(whole) if j is not None)


def test_close_pairs_counts_bits() -> None:
    ours, theirs = np.array([0, 0b111, 1 << 63], np.uint64), np.array([0b1, (1 << 63) + 1], np.uint64)
    assert find_close_pairs(ours, theirs, 1) == [(0, 0), (2, 1)]
    assert find_close_pairs(ours, theirs, 2) == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]


def test_duplicates_within_a_picture_and_within_a_topic(tmp_path: Path) -> None:
    known = {
        "knowledge": "road.signs",
        "question": "What does the triangular road sign warn of?",
        "answer_type": "text",
        "capability": "knowledge.sign",
    }
    rows = [
        row("a", question="How many cars are there?"),
        row("b", question="how many  cars are there"),
        row("c", question="How many cars are there in it?"),
        row("d", "b.png", question="How many cars are there?"),
        row("e", "c.png", **known, answer="cattle"),
        row("f", "d.png", **known, answer="cattle"),
        row("g", "e.png", **known, answer="falling rocks"),
        row("h", "f.png", **known | {"capability": "perception.count"}, answer="cattle"),
    ]
    found = {v.uid: v.reason for v in duplicates(batch(tmp_path, rows))}
    assert found == {
        "b": "question already asked about this image",
        "c": "question too close to another about this image",
        "f": "question too close to another of its topic",
    }
    assert "f" not in {v.uid for v in duplicates(batch(tmp_path, rows), within_leaf=None)}
    assert "c" not in {v.uid for v in duplicates(batch(tmp_path, rows), within_image=0.9999)}


def test_blank_pictures_have_no_hash_and_small_changes_keep_it(tmp_path: Path) -> None:
    assert compute_perceptual_hash(Image.new("RGB", (64, 64), "white")) is None
    picture, other = (noise((12, 12), seed).resize((256, 256)) for seed in range(2))
    one, two, three = (
        compute_perceptual_hash(picture),
        compute_perceptual_hash(picture.resize((200, 200))),
        compute_perceptual_hash(other),
    )
    assert bin(one ^ two).count("1") <= 4 < bin(one ^ three).count("1")  # type: ignore[operator]


def test_picture_hashes_are_kept_and_survive_a_cut_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = record(tmp_path, "a.png", -1)
    files = {made.content: Path(made.paths[0]), "gone": tmp_path / "none.png"}
    found = PictureHashes(tmp_path, 100).of(files)
    assert list(found) == [made.content]
    with (tmp_path / "hashes.jsonl").open("a") as file:
        file.write('["half')
    monkeypatch.setattr("mindgpt_data.io.images.open_image", lambda *_: pytest.fail("opened again"))
    assert PictureHashes(tmp_path, 100).of(files) == found


def held_out_set(folder: Path, question: str = LONG) -> str:
    image = noise((12, 12)).resize((192, 192))
    one = dataclasses.replace(row("t", save_image(image, folder)), question=question, split="test")
    write_set([one], folder, "exam")
    return str(folder / "exam")


def test_decontaminate_by_words_and_by_pictures(tmp_path: Path) -> None:
    source = held_out_set(tmp_path / "exam")
    work = tmp_path / "work"
    work.mkdir()
    rows = [row("a", "a.png", question=LONG.upper()), row("b", "b.png", question="How many boats?"), row("c", "c.png")]
    made = batch(work, rows, filter={"against": [source]})
    # c shows the evaluation picture, scaled and saved as JPEG.
    exam = Image.open(next((tmp_path / "exam/images").iterdir())).resize((150, 150))
    exam.save(work / "c.jpg", quality=90)
    made.records["c.png"] = dataclasses.replace(made.records["c.png"], paths=[str(work / "c.jpg")], content="new")
    found = {v.uid: v for v in decontaminate(made)}
    assert {u: v.reason for u, v in found.items()} == {
        "a": "shares 13 words in a row with an evaluation set",
        "c": "same picture as in an evaluation set",
    }
    assert source in found["a"].detail
    assert made.facts["compared with"] == {"n-grams": len(list(list_ngrams(LONG, "4", 13))), "pictures": 1}
    assert {v.uid for v in decontaminate(made, n=30)} == {"c"}
    assert {v.uid for v in decontaminate(made, n=None)} == {"c"}
    looks = {v.uid for v in decontaminate(made, n=None, picture_distance=None)}
    assert looks == set(), "no pixel-equal picture"


def test_decontaminate_reads_jsonl_and_txt_and_names_what_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{LONG}\nshort one\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"query": LONG, "answer": "the red one"}) + "\n")
    assert set(read_held_out_sets([str(tmp_path / "a.txt")], 13).grams) < set(
        read_held_out_sets([str(tmp_path / "b.jsonl")], 13).grams
    )
    (tmp_path / "c.jsonl").write_text('{"ask": "x"}\n')
    with pytest.raises(HeldOutError, match="line 1: no question"):
        read_held_out_sets([str(tmp_path / "c.jsonl")], 13)
    with pytest.raises(HeldOutError, match="no evaluation set.*there is no set 'none'"):
        read_held_out_sets([str(tmp_path / "none")], 13)
    rows = batch(tmp_path, [row("a")])
    assert list(decontaminate(rows)) == []
    assert "nothing was compared" in rows.notes[0]


def test_words_of_scripts_without_spaces_are_characters() -> None:
    assert list(list_ngrams("图中有几辆红色的车", "三", 5))[0] == ("图", "中", "有", "几", "辆")
