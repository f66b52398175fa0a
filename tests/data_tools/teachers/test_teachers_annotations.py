"""Every kind of question against truth worked out again, from pixels or by hand."""

import re
from pathlib import Path

import pytest
from mindgpt_data.corpus.truth import add_article, mentions_phrase, pluralise_label
from mindgpt_data.schema.boxes import Frame, parse_box
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.teachers.annotations import Annotations, AnnotationsError
from mindgpt_data.teachers.base import Candidate, Job, Label
from mindgpt_data.teachers.questions import KINDS
from mindgpt_data.world import folder
from support.world_lines import read_world_lines

from mindgpt_plugins.answers.box import compute_box_iou

CAPABILITIES = {kind: Label(kind, kind.title(), "", family="subjects") for kind in KINDS}
CELLS = ["top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right"]


def _record(objects=(), texts=(), captions=(), size=(100, 100)) -> ImageRecord:
    return ImageRecord(
        "a.png", ["/a.png"], *size, "hash", objects=list(objects), texts=list(texts), captions=list(captions)
    )


def _thing(label: str, x0: int, y0: int, x1: int, y1: int, **attributes: object) -> dict:
    return {"label": label, "box": [x0, y0, x1, y1], "attributes": attributes}


def _ask(record: ImageRecord, *kinds: str, **job: object) -> list[Candidate]:
    asked = Job(record, 0.5, {}, 4, {}, capabilities=CAPABILITIES, **job)  # type: ignore[arg-type]
    return Annotations(kinds=kinds or tuple(KINDS)).propose(asked)


def _pairs(candidates: list[Candidate]) -> dict[str, str]:
    return {c.question: c.answer for c in candidates}


@pytest.fixture(scope="module", params=["general", "domain"])
def world(request, tmp_path_factory) -> list[ImageRecord]:
    base = tmp_path_factory.mktemp(request.param)
    manifest = folder.write_source_corpus(base, 60, source=request.param, seed=3, size=192)
    lines = read_world_lines(manifest)
    return [
        ImageRecord(paths=[str(Path(base, line["image"]))], width=192, height=192, content="", **line) for line in lines
    ]


def _cell(box: list[float], size: int) -> str:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return CELLS[3 * min(2, int(3 * y / size)) + min(2, int(3 * x / size))]


def test_every_answer_about_the_world_is_right(world) -> None:
    """Each question is read back with a regular expression and answered from the manifest by brute force."""
    checked = dict.fromkeys(KINDS, 0)
    for record in world:
        objects = record.objects
        of = {label: [o for o in objects if o["label"] == label] for label in {o["label"] for o in objects}}
        proposed = _ask(record, absent=("zebra", "kite", "oven", "spoon"))
        assert len({c.question for c in proposed}) == len({(c.question, c.answer) for c in proposed})
        for c in proposed:
            q, checked[c.capability] = c.question, checked[c.capability] + 1
            if c.capability == "count":
                colour, name = re.fullmatch(
                    r"How many (?:(red|green|blue|yellow|purple|orange) )?(.+) are in .*", q
                ).groups()
                label = next(la for la in of if pluralise_label(la) == name)
                want = str(sum(colour in (None, o["attributes"].get("colour")) for o in of[label]))
            elif c.capability == "presence":
                label = re.fullmatch(r"Is there an? (.+) in the picture\?", q).group(1)
                want = "yes" if label in of else "no"
            elif c.capability == "attribute":
                key, name = re.fullmatch(r"What (?:is the )?(.+?) (?:is|of) the (.+)\?", q).groups()
                (only,) = [o for o in objects if name in (o["label"], o["attributes"].get("category"))]
                want = only["attributes"][key]
            elif c.capability == "identify" and q.endswith("is in the picture?"):
                (only,) = [o for o in objects if o["attributes"].get("category") == q.split()[1]]
                want = only["label"]
            elif c.capability == "identify" and q.startswith("Which object is"):
                (only,) = [o for o in objects if o["attributes"]["colour"] == q[16:-1]]
                want = only["label"]
            elif c.capability == "identify":
                (only,) = [o for o in objects if _cell(o["box"], 192) == q.removeprefix("What is shown at the ")[:-1]]
                want = only["label"]
            elif c.capability == "position":
                (only,) = of[re.search(r"is the (.+), for example", q).group(1)]
                want = _cell(only["box"], 192)
            elif c.capability == "size":
                one, other = re.search(r", the (.+) or the (.+)\?", q).groups()
                areas = {n: (b[2] - b[0]) * (b[3] - b[1]) for n in (one, other) for b in [of[n][0]["box"]]}
                want = max(areas, key=areas.__getitem__)
                assert max(areas.values()) >= 2 * min(areas.values())
            elif c.capability == "relation" and q.startswith("Which"):
                side = q.removeprefix("Which object is furthest to the ")[:-1]
                key = {
                    "left": lambda b: b[0],
                    "right": lambda b: -b[2],
                    "top": lambda b: b[1],
                    "bottom": lambda b: -b[3],
                }
                want = min(objects, key=lambda o: key[side](o["box"]))["label"]
            elif c.capability == "relation":
                one, other = re.fullmatch(
                    r"Is the (.+?) (?:to the left or to the right of|above or below) the (.+)\?", q
                ).groups()
                a, b = of[one][0]["box"], of[other][0]["box"]
                axis = 0 if "to the left or" in q else 1
                names = ("left", "right") if axis == 0 else ("above", "below")
                want = names[0] if a[axis + 2] <= b[axis] else names[1] if b[axis + 2] <= a[axis] else "overlap"
            elif c.capability == "grounding":
                (only,) = of[re.match(r"Where exactly is the (.+)\? ", q).group(1)]
                box = Frame("relative_1000", 192, 192, 1).read(parse_box(c.answer))
                assert compute_box_iou(box, only["box"]) > 0.95
                continue
            elif c.capability == "reading":
                want = record.texts[0]["text"]
            else:
                want = record.captions[0]
            assert c.answer == want, (record.objects, c)
    asked = {kind for kind, number in checked.items() if number}
    assert asked >= {"count", "presence", "identify", "position", "relation", "grounding", "description"}


def test_what_two_things_could_mean_is_not_asked() -> None:
    two = _record([_thing("cat", 0, 0, 20, 20, colour="black"), _thing("cat", 60, 60, 90, 90, colour="white")])
    asked = _pairs(_ask(two))
    assert asked["How many cats are in the picture?"] == "2"
    assert asked["How many black cats are in the picture?"] == "1"
    assert not any("the cat" in question for question in asked)


def test_a_label_that_is_part_of_another_is_no_name() -> None:
    signs = _record([_thing("sign", 0, 0, 20, 20), _thing("stop sign", 60, 60, 90, 90)])
    asked = _pairs(_ask(signs))
    assert not any("the sign" in question for question in asked)
    assert "How many signs are in the picture?" not in asked
    assert asked["How many stop signs are in the picture?"] == "1"


def test_the_only_thing_of_a_category_is_asked_for_by_it() -> None:
    stop = _thing("stop sign", 0, 0, 20, 20, category="sign", meaning="stop")
    bus = _thing("bus", 60, 60, 90, 90, category="vehicle", use="transport")
    asked = _pairs(_ask(_record([stop, bus]), "attribute", "identify"))
    assert asked["What is the meaning of the sign?"] == "stop"
    assert asked["Which sign is in the picture?"] == "stop sign"
    assert asked["What is the use of the vehicle?"] == "transport"
    assert not any("category" in question for question in asked)
    two = _pairs(
        _ask(_record([bus, _thing("car", 0, 60, 20, 90, category="vehicle", use="travel")]), "attribute", "identify")
    )
    assert two["What is the use of the car?"] == "travel", "two vehicles: the label has to say which"
    assert "Which vehicle is in the picture?" not in two
    leaking = _pairs(
        _ask(_record([stop, _thing("turn sign", 60, 60, 90, 90, category="sign", meaning="turn")]), "attribute")
    )
    assert not leaking, "the label says what is asked for"
    either = _pairs(_ask(_record([stop, _thing("sign", 60, 60, 90, 90)]), "attribute", "identify"))
    assert not any("the sign" in question or "Which sign" in question for question in either)


def test_what_a_category_names_is_the_capability_where_the_tree_has_it() -> None:
    leaves = ("object", "colour", "vehicle", "meaning")
    labels = {f"look.{name}": Label(f"look.{name}", name, "", family="subjects") for name in leaves}
    things = [_thing("stop sign", 0, 0, 20, 20, category="sign", meaning="halt"),
              _thing("bus", 60, 60, 90, 90, category="vehicle")]  # fmt: skip
    job = Job(_record(things), 0.5, {}, 4, {}, capabilities=labels)
    found = {c.question: c.capability for c in Annotations(kinds=("attribute", "identify")).propose(job)}
    assert found["Which vehicle is in the picture?"] == "look.vehicle"
    assert found["Which sign is in the picture?"] == "look.object"
    assert found["What is the meaning of the sign?"] == "look.meaning"


def test_near_borders_and_overlaps_are_not_asked_about() -> None:
    borderline = _record([_thing("cat", 23, 40, 43, 60), _thing("dog", 40, 42, 60, 62)])
    asked = _pairs(_ask(borderline, "position", "relation"))
    assert not any("the cat," in question for question in asked), "its middle is on the border of two thirds"
    assert not any("left" in question and question.startswith("Is the") for question in asked), "their boxes overlap"


def test_a_crowd_is_neither_counted_nor_named() -> None:
    crowd = _record([_thing("person", 0, 0, 90, 30, iscrowd=1), _thing("dog", 60, 60, 90, 90)])
    asked = _pairs(_ask(crowd))
    assert not any("people" in q or "the person" in q or "furthest" in q for q in asked)
    assert asked["How many dogs are in the picture?"] == "1"


def test_coco_style_boxes_without_attributes_and_texts_without_boxes_are_fine() -> None:
    record = _record(
        [{"label": "traffic_light", "box": [10, 10, 20, 30]}], [{"text": "EXIT", "box": None}], ["A lamp."]
    )
    asked = _pairs(_ask(record))
    assert asked["How many traffic lights are in the picture?"] == "1"
    assert asked["What text can be read in the picture?"] == "EXIT"
    assert asked["Describe the picture."] == "A lamp."
    assert asked["Where in the picture is the traffic light, for example top left, centre or bottom?"] == "top left"


def test_several_texts_are_asked_for_by_place() -> None:
    texts = [{"text": "in", "box": [0, 0, 20, 10]}, {"text": "out", "box": [80, 80, 100, 90]}]
    assert _pairs(_ask(_record(texts=texts), "reading")) == {
        "What text can be read at the top left?": "in",
        "What text can be read at the bottom right?": "out",
    }
    unclear = [*texts, {"text": "?", "box": None}]
    assert _ask(_record(texts=unclear), "reading") == []


def test_boxes_follow_the_convention_of_the_job() -> None:
    record = _record([_thing("cat", 100, 50, 200, 100)], size=(400, 200))
    (relative,) = _ask(record, "grounding")
    (pixels,) = _ask(record, "grounding", boxes="pixels", max_pixels=28 * 28 * 18)
    assert relative.answer == "[250, 250, 500, 500]"
    shown = Frame("pixels", 400, 200, 28 * 28 * 18).extent
    assert shown == (168, 84)
    assert pixels.answer == "[42, 21, 84, 42]"
    assert "168 x 84" in pixels.question


def test_the_topic_is_the_one_that_was_matched_by_the_same_words() -> None:
    record = _record([_thing("bus", 0, 0, 20, 20), _thing("cat", 60, 60, 90, 90)])
    topics = (Label("animals.pets", "Pets", ""), Label("road.buses", "Omnibuses", ""))
    asked = _ask(record, "count", topics=topics, evidence={"road.buses": "bus"})
    assert {c.question: c.knowledge for c in asked} == {
        "How many buses are in the picture?": "road.buses",
        "How many cats are in the picture?": None,
    }
    assert _ask(record, "count", topics=topics)[1].knowledge is None


def test_a_tree_without_a_fitting_leaf_says_which_option_to_set() -> None:
    job = Job(_record([_thing("cat", 0, 0, 9, 9)]), 0.5, {}, 1, {}, capabilities={"x": Label("x", "Dreaming", "")})
    with pytest.raises(AnnotationsError, match=r"generate\.teacher\.options\.capabilities"):
        Annotations().propose(job)
    assert {c.capability for c in Annotations(capabilities={"count": "x"}).propose(job)} == {"x"}
    with pytest.raises(AnnotationsError, match="no capability leaf 'y'"):
        Annotations(capabilities={"count": "y"}).propose(job)
    with pytest.raises(AnnotationsError, match="did you mean 'count'"):
        Annotations(kinds=["counts"])


@pytest.mark.parametrize(
    ("one", "many"),
    [("bus", "buses"), ("person", "people"), ("stop sign", "stop signs"), ("wine glass", "wine glasses"),
     ("puppy", "puppies"), ("boy", "boys"), ("knife", "knives"), ("sheep", "sheep"), ("box", "boxes")],
)  # fmt: skip
def test_plurals(one, many) -> None:
    assert pluralise_label(one) == many
    assert mentions_phrase(f"two {many} here", one)


def test_whole_words_only() -> None:
    assert not mentions_phrase("a carpet", "car")
    names = ["orange cat", "one way sign", "umbrella", "unicycle", "hourglass", "UFO", "euro coin", "bus"]
    want = ["an", "a", "an", "a", "an", "a", "a", "a"]
    assert [add_article(name).split()[0] for name in names] == want
