"""Scenes: pixels and truth agree, so that answers are right by construction."""

import random

import numpy as np
import pytest
from mindgpt_data import pictures
from mindgpt_data.export import hash_stored_picture
from mindgpt_data.pictures import KINDS
from mindgpt_data.world import domain, general
from mindgpt_data.world.draw import COLOURS, draw_scene
from mindgpt_data.world.scene import Scene

SAMPLERS = {"general": general.sample_general_scene, "domain": domain.sample_domain_scene}


def scenes(world: str, count: int, unseen: bool = False) -> list[Scene]:
    return [SAMPLERS[world](random.Random(f"{world} {i}"), i / (count - 1), 96, unseen) for i in range(count)]


def test_a_shape_has_its_colour_at_its_centre() -> None:
    for scene in scenes("general", 60):
        image = draw_scene(scene)
        for thing in scene.of("shape"):
            assert image.getpixel((thing.x, thing.y)) == COLOURS[thing.colour]


@pytest.mark.parametrize("world", SAMPLERS)
def test_every_centre_lies_in_its_named_cell_and_no_cell_is_used_twice(world: str) -> None:
    for scene in scenes(world, 80):
        for thing in scene.things:
            assert (thing.x // 32, thing.y // 32) == (thing.column, thing.row)
        assert len({t.cell for t in scene.things}) == len(scene.things)


def test_drawing_is_deterministic_and_grades_add_things() -> None:
    for world in SAMPLERS:
        first, again = scenes(world, 20), scenes(world, 20)
        assert [hash_stored_picture(draw_scene(s)) for s in first] == [
            hash_stored_picture(draw_scene(s)) for s in again
        ]
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
        image = pictures.load_picture(name)
        assert max(image.size) <= 128
        assert np.asarray(image)[..., 3].max() == 255
        assert f"`{name}`" in listed
    shipped = {entry.name for entry in resources.files(pictures).iterdir() if entry.name.endswith(".png")}
    assert shipped == names
