"""The shipped public-domain pictures and what is known about each kind (see ``SOURCES.md``)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Kind:
    """One kind of thing in the domain.

    Attributes:
        name: the word used in questions and answers, one word.
        family: ``vehicle`` or ``sign``.
        files: the pictures of this kind.
        leaf: its leaf in the knowledge tree.
        travels: for vehicles, where it travels: road, rail, air, space, water or field.
        means: for signs, what it means, one word.
    """

    name: str
    family: str
    files: tuple[str, ...]
    leaf: str
    travels: str = ""
    means: str = ""


def _vehicle(name: str, count: int, leaf: str, travels: str) -> Kind:
    return Kind(name, "vehicle", tuple(f"{name}_{i}.png" for i in range(1, count + 1)), leaf, travels=travels)


def _sign(name: str, means: str, leaf: str) -> Kind:
    return Kind(name, "sign", (f"sign_{name}.png",), leaf, means=means)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _vehicle("car", 3, "vehicles.road.car", "road"),
        _vehicle("bus", 2, "vehicles.road.bus", "road"),
        _vehicle("truck", 2, "vehicles.road.truck", "road"),
        _vehicle("bicycle", 2, "vehicles.road.bicycle", "road"),
        _vehicle("tram", 1, "vehicles.rail.tram", "rail"),
        _vehicle("tractor", 1, "vehicles.field.tractor", "field"),
        _vehicle("plane", 3, "vehicles.air.plane", "air"),
        _vehicle("balloon", 1, "vehicles.air.balloon", "air"),
        _vehicle("rocket", 1, "vehicles.air.rocket", "space"),
        _vehicle("sailboat", 2, "vehicles.water.sailboat", "water"),
        _sign("stop", "stop", "signs.priority.stop"),
        _sign("give_way", "yield", "signs.priority.give_way"),
        _sign("no_entry", "forbidden", "signs.prohibition.no_entry"),
        _sign("parking", "parking", "signs.information.parking"),
        _sign("one_way", "oneway", "signs.information.one_way"),
        _sign("cycles", "cyclists", "signs.mandatory.cycles"),
        _sign("turn_left", "left turn", "signs.mandatory.turn_left"),
        _sign("bend", "bends", "signs.warning.bend"),
        _sign("rocks", "rockfall", "signs.warning.rocks"),
        _sign("cattle", "cattle", "signs.warning.cattle"),
        _sign("voltage", "electricity", "signs.warning.voltage"),
    )
}
VEHICLES = tuple(k.name for k in KINDS.values() if k.family == "vehicle")
SIGNS = tuple(k.name for k in KINDS.values() if k.family == "sign")


@functools.cache
def load_picture(file: str) -> Image:
    """Open a shipped picture as RGBA.

    Raises:
        FileNotFoundError: no such picture in this package.
    """
    from PIL import Image

    data = resources.files(__name__).joinpath(file).read_bytes()
    return Image.open(BytesIO(data)).convert("RGBA")
