from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mindgpt_data.adversarial import make_twins
from mindgpt_data.adversarial.kinds import KINDS
from mindgpt_data.corpus.truth import mentions_phrase, read_truth
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_data.teachers.annotations import Annotations
from mindgpt_data.teachers.base import Job, Label
from mindgpt_data.teachers.questions import KINDS as QUESTIONS
from mindgpt_data.teachers.rows import build_row
from mindgpt_data.world import folder
from PIL import Image
from support.world_lines import read_world_lines

CAPABILITIES = {kind: Label(kind, kind, "", family="subjects") for kind in QUESTIONS}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[list[Row], dict[str, ImageRecord]]:
    rows, records = [], {}
    for source in ("general", "domain"):
        base = tmp_path_factory.mktemp(source)
        for line in read_world_lines(folder.write_source_corpus(base, 30, source=source, seed=7)):
            record = ImageRecord(paths=[str(Path(base, line["image"]))], width=96, height=96, content="", **line)
            records[record.image] = record
            job = Job(record, 0.5, dict.fromkeys(("subjects", "spatial", "text", "knowledge"), 1.0), 4, {},
                      capabilities=CAPABILITIES, absent=("zebra",))  # fmt: skip
            rows += [build_row(c, job, i, source, 0.5) for i, c in enumerate(Annotations().propose(job))]
    return rows, records


def _pixels(image: str, records: dict[str, ImageRecord], base: Path) -> np.ndarray:
    path = Path(records[image].paths[0]) if image in records else base / image
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_each_twin_cannot_be_answered_and_says_why(corpus, tmp_path) -> None:
    rows, records = corpus
    made = make_twins(rows, records, tmp_path, share=0.3, seed=1)
    partners = {row.uid: row for row in rows}
    assert len(made) == round(0.3 * len(rows))
    kinds = [twin.uid.rsplit("-", 1)[0] for twin in made]
    assert min(kinds.count(kind) for kind in KINDS) >= 0.2 * len(made)
    assert len({twin.uid for twin in made} | set(partners)) == len(made) + len(rows)
    for kind, twin in zip(kinds, made, strict=True):
        partner = partners[twin.twin_uid]
        assert twin.type == "adversarial"
        assert partner.answer_type in ("text", "choice", "box")
        assert twin.answer.startswith("unanswerable: ")
        assert twin.response.endswith(f"answer: {twin.answer}")
        truth = read_truth(records[partner.image[0]])
        if kind == "blank":
            assert np.ptp(_pixels(twin.image[0], records, tmp_path), axis=(0, 1)).tolist() == [0, 0, 0]
        elif kind == "swapped":
            named = [t.label for t in truth.things if mentions_phrase(partner.question, t.label)]
            assert named
            assert not any(mentions_phrase(read_truth(records[twin.image[0]]).words, label) for label in named)
        elif kind == "false_premise":
            assert twin.image == partner.image
            gone = twin.answer.removeprefix("unanswerable: there is no ").removesuffix(" in the picture")
            assert not mentions_phrase(truth.words, gone)
            assert mentions_phrase(twin.question, gone)
        else:
            before, after = (_pixels(one.image[0], records, tmp_path) for one in (partner, twin))
            shown = [t for t in truth.texts if t.label == partner.answer] or [
                t for t in truth.things if mentions_phrase(partner.question, t.label)
            ]
            hidden = [
                (after[int(y0) : int(y1), int(x0) : int(x1)] == 128).all() for x0, y0, x1, y1 in (t.box for t in shown)
            ]
            assert any(hidden)
            assert (before != after).any()
        if kind != "false_premise":
            assert twin.question == partner.question


def test_twins_depend_on_rows_and_seed_alone(corpus, tmp_path) -> None:
    rows, records = corpus
    one = make_twins(rows, records, tmp_path / "a", share=0.1, seed=1)
    assert one == make_twins(rows, records, tmp_path / "b", share=0.1, seed=1)
    assert one != make_twins(rows, records, tmp_path / "c", share=0.1, seed=2)
    assert make_twins(rows, records, tmp_path / "d", share=0.0) == []
    assert not (tmp_path / "d").exists()


def test_rows_that_stay_answerable_get_no_twin(corpus, tmp_path) -> None:
    rows, records = corpus
    counting = [row for row in rows if row.answer_type in ("number", "yesno")]
    assert counting
    assert make_twins(counting, records, tmp_path, share=1.0) == []
    several = [replace(row, image=row.image * 2) for row in rows]
    assert make_twins(several, records, tmp_path, share=1.0) == []


def test_without_truth_only_the_blank_picture_is_certain(corpus, tmp_path) -> None:
    rows, records = corpus
    bare = {image: replace(r, objects=[], texts=[], tags=[], captions=[]) for image, r in records.items()}
    made = make_twins(rows, bare, tmp_path, share=0.2)
    assert made
    assert all(twin.uid.startswith("blank-") for twin in made)
