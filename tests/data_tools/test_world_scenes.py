"""Answers are right by construction: pixels and truth agree, and every question has one answer."""

import random

import numpy as np
import pytest
from mindgpt_data import pictures
from mindgpt_data.export import content_hash
from mindgpt_data.pictures import KINDS
from mindgpt_data.world import domain, general
from mindgpt_data.world.draw import COLOURS, draw
from mindgpt_data.world.questions import from_truth
from mindgpt_data.world.scene import Scene

SAMPLERS = {"general": general.sample, "domain": domain.sample}


def scenes(world: str, count: int, unseen: bool = False) -> list[Scene]:
    return [SAMPLERS[world](random.Random(f"{world} {i}"), i / (count - 1), 96, unseen) for i in range(count)]


def test_a_shape_has_its_colour_at_its_centre() -> None:
    for scene in scenes("general", 60):
        image = draw(scene)
        for thing in scene.of("shape"):
            assert image.getpixel((thing.x, thing.y)) == COLOURS[thing.colour]


@pytest.mark.parametrize("world", SAMPLERS)
def test_every_centre_lies_in_its_named_cell_and_no_cell_is_used_twice(world: str) -> None:
    for scene in scenes(world, 80):
        for thing in scene.things:
            assert (thing.x // 32, thing.y // 32) == (thing.column, thing.row)
        assert len({t.cell for t in scene.things}) == len(scene.things)


@pytest.mark.parametrize("world", SAMPLERS)
def test_one_question_never_has_two_answers(world: str) -> None:
    for scene in scenes(world, 150):
        answers: dict[str, str] = {}
        for candidate in from_truth(scene):
            assert answers.setdefault(candidate.question, candidate.answer) == candidate.answer
            assert candidate.response(True).endswith(f"answer: {candidate.answer}")


def test_counts_and_colours_are_those_of_the_scene() -> None:
    for scene in scenes("general", 60):
        shapes = scene.of("shape")
        for c in from_truth(scene):
            if c.question == "how many shapes are there?":
                assert c.answer == str(len(shapes))
            if c.capability == "perception.colour":
                name = c.question.removeprefix("what colour is the ").rstrip("?")
                assert [t.colour for t in shapes if t.name == name] == [c.answer]


def test_relations_name_the_only_thing_on_that_side() -> None:
    found = 0
    for scene in scenes("domain", 200):
        for c in from_truth(scene):
            if c.capability == "spatial.relation" and " left of " in c.question:
                (sign,) = scene.of("sign")
                left = [t for t in scene.things if t.column < sign.column]
                assert [t.name for t in left] == [c.answer]
                found += 1
    assert found > 3


def test_drawing_is_deterministic_and_grades_add_things() -> None:
    for world in SAMPLERS:
        first, again = scenes(world, 20), scenes(world, 20)
        assert [content_hash(draw(s)) for s in first] == [content_hash(draw(s)) for s in again]
        assert len(first[-1].things) > len(first[0].things)


def test_training_scenes_hold_no_unseen_combination_and_unseen_ones_do() -> None:
    pairs = lambda s: {(t.colour, t.name) for t in s.of("shape")}  # noqa: E731
    assert not any(pairs(s) & general.UNSEEN for s in scenes("general", 300))
    assert all(pairs(s) & general.UNSEEN for s in scenes("general", 30, unseen=True))
    both = lambda s: {(v.name, g.name) for v in s.of("vehicle") for g in s.of("sign")}  # noqa: E731
    assert not any(both(s) & domain.UNSEEN for s in scenes("domain", 300))
    assert all(both(s) & domain.UNSEEN for s in scenes("domain", 30, unseen=True))


def test_every_shipped_picture_opens_and_is_listed() -> None:
    from importlib import resources

    listed = (resources.files(pictures) / "SOURCES.md").read_text()
    names = {f for kind in KINDS.values() for f in kind.files}
    for name in names:
        image = pictures.load(name)
        assert max(image.size) <= 128
        assert np.asarray(image)[..., 3].max() == 255
        assert f"`{name}`" in listed
    shipped = {entry.name for entry in resources.files(pictures).iterdir() if entry.name.endswith(".png")}
    assert shipped == names
