"""Limits of YAML that is read, held against the text before a parser builds or copies anything from it.

A document of a few hundred bytes can stand for billions of nodes, since an alias (``*name``) repeats what its anchor
holds, and an interpolation (``${name}``) does the same with text; deep nesting ends in a RecursionError somewhere. The
events of the YAML parser tell the size of the whole without building it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from mindgpt_plugins.core.errors import InputError

_NUMBER = re.compile(r"[-+]?(0[xob])?[0-9_.:]+([eE][-+]?[0-9]+)?")
_KEY = re.compile(r"[^\s,:{}$'\"]+")
_EVENTS: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where it was built: ten times as fast
LONGEST_NUMBER = 64
"""Characters of a number: a float with all its digits has 24, a SHA-256 that happens to hold digits only has 64."""
MOST_REFERENCES = 16
"""Interpolations that may stand one behind the other; OmegaConf takes some thirty frames of Python's stack for each."""


@dataclass(frozen=True)
class YamlLimits:
    """How much a YAML file may hold.

    Attributes:
        size: bytes of the file.
        nodes: mappings, lists, keys and values, each as often as aliases repeat it.
        depth: mappings and lists inside each other.
    """

    size: int
    nodes: int
    depth: int


RECIPE_LIMITS = YamlLimits(size=1 << 20, nodes=10_000, depth=40)
"""The largest shipped recipe has 5 kB, 500 nodes and depth 8; OmegaConf needs 2 s for 10,000 nodes."""
TREE_LIMITS = YamlLimits(size=64 << 20, nodes=2_000_000, depth=64)
"""Label trees: the largest shipped one has 3 levels; a grown one some 100,000 leaves of ten nodes each."""


def read_yaml_text(path: Path, limits: YamlLimits = RECIPE_LIMITS) -> str:
    """The text of a YAML file that keeps the limits.

    Raises:
        InputError: it does not.
        yaml.YAMLError: it is no YAML.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(limits.size + 1)  # not stat(): a device or a pipe tells no size
    if len(content) > limits.size:
        raise InputError(f"it has more than {limits.size:,} bytes, the most that is read")
    text = content.decode("utf-8-sig")
    check_yaml_text(text, limits)
    return text


def read_yaml_mapping(path: Path, limits: YamlLimits = RECIPE_LIMITS) -> DictConfig:
    """The keys of a YAML file that keeps the limits, interpolations unresolved.

    Raises:
        InputError: it does not, or it is a list or a single value.
        yaml.YAMLError, omegaconf.errors.OmegaConfBaseException: it is no YAML, or has a key twice.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    text = read_yaml_text(path, limits)
    nodes = (event for event in yaml.parse(text, Loader=_EVENTS) if isinstance(event, yaml.NodeEvent))
    if not isinstance(next(nodes, None), (yaml.MappingStartEvent, type(None))):  # OmegaConf takes a text for a key
        raise InputError("it must be a mapping of keys, not a list or a single value")
    tree = OmegaConf.create(text)
    assert isinstance(tree, DictConfig)
    return tree


def check_yaml_text(text: str, limits: YamlLimits = RECIPE_LIMITS) -> None:
    """Refuse YAML that would become too large, too deep, or holds a number that nobody means.

    Raises:
        InputError: naming the limit and the line.
        yaml.YAMLError: it is no YAML.
    """
    nodes: list[int] = []  # of every open mapping or list, itself included
    reach: list[int] = []  # levels that it goes deep
    names: list[str | None] = []
    known: dict[str, tuple[int, int]] = {}  # anchor → its nodes and levels
    total = 0
    for event in yaml.parse(text, Loader=_EVENTS):
        mark = event.start_mark
        line = mark.line + 1 if mark is not None else 1
        if isinstance(event, yaml.CollectionStartEvent):
            nodes.append(1)
            reach.append(1)
            names.append(event.anchor)
            size, deep = 1, 0
        elif isinstance(event, yaml.CollectionEndEvent):
            size, deep = nodes.pop(), reach.pop()
            if (name := names.pop()) is not None:
                known[name] = size, deep
            if nodes:
                nodes[-1] += size
                reach[-1] = max(reach[-1], deep + 1)
            continue  # they were counted when they came
        elif isinstance(event, yaml.ScalarEvent):
            size, deep = 1, 0
            if event.anchor is not None:
                known[event.anchor] = 1, 0
            if event.implicit[0] and len(event.value) > LONGEST_NUMBER and _NUMBER.fullmatch(event.value):
                raise InputError(f"line {line}: a number of more than {LONGEST_NUMBER} characters")
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in names:
                raise InputError(f"line {line}: *{event.anchor} stands inside of what it names")
            size, deep = known.get(event.anchor or "", (1, 0))
        else:
            continue
        if not isinstance(event, yaml.CollectionStartEvent) and nodes:
            nodes[-1] += size
            reach[-1] = max(reach[-1], deep + 1)
        total += size
        if total > limits.nodes:
            raise InputError(
                f"line {line}: more than {limits.nodes:,} keys and values, each as often as aliases repeat it"
            )
        if len(nodes) + deep > limits.depth:
            raise InputError(f"line {line}: more than {limits.depth} mappings and lists inside each other")


def check_interpolations(data: Any, limits: YamlLimits = RECIPE_LIMITS) -> None:
    """Refuse plain data whose ``${…}`` would become more text than the file may hold, or refer on and on.

    Whatever a ``${…}`` names is counted, resolvers and their arguments alike, so that this is never too low.

    Raises:
        InputError: naming the key.
    """
    known: dict[tuple[str, ...], tuple[int, int]] = {}

    def measure(value: Any, place: tuple[str, ...], left: int) -> tuple[int, int]:
        """Characters and nodes that a value becomes, and how many references stand one behind the other in it."""
        if isinstance(value, (dict, list)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            return _add_up(measure(one, (*place, str(key)), left) for key, one in items)
        if not isinstance(value, str) or "${" not in value:
            return (len(value) if isinstance(value, str) else 1), 0
        if place not in known:
            named = [part for one in value.split("${")[1:] for part in _KEY.findall(one.partition("}")[0])]
            inner = [_find_named(data, place, one) for one in named] if left else []
            size, hops = _add_up(measure(*one, left - 1) for one in inner)
            if left == 0 or hops == MOST_REFERENCES:
                raise InputError(
                    f"{'.'.join(place)}: its ${{…}} refers to what refers on, in a circle or more than "
                    f"{MOST_REFERENCES} times; name the value itself"
                )
            if size > limits.size:
                raise InputError(f"{'.'.join(place)}: its ${{…}} become more than {limits.size:,} characters")
            known[place] = size + len(value), hops + 1
        return known[place]

    if measure(data, (), MOST_REFERENCES)[0] > limits.size:
        raise InputError(f"its ${{…}} become more than {limits.size:,} characters in all")


def _add_up(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    size, hops = 1, 0
    for one, own in parts:
        size, hops = size + one, max(hops, own)
    return size, hops


def _find_named(data: Any, place: tuple[str, ...], key: str) -> tuple[Any, tuple[str, ...]]:
    """What a key of an interpolation names, and where that is; ``None`` where it leads nowhere.

    A key that ends with a dot goes on with another interpolation: what it leads to holds all that it can name.
    """
    plain = key.replace("[", ".").replace("]", "").lstrip(".")
    dots = len(key) - len(key.lstrip("."))
    at: tuple[str, ...] = place[: max(0, len(place) - dots)] if dots else ()
    value = data
    for part in at:
        value = value[int(part)] if isinstance(value, list) else value[_original(value, part)]
    for part in filter(None, plain.split(".")):
        if isinstance(value, dict) and (name := _original(value, part)) is not None:
            value = value[name]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None, ()
        at = (*at, part)
    return value, at


def _original(mapping: dict[Any, Any], part: str) -> Any:
    """The key that is written as ``part``: YAML reads ``1`` as a number."""
    return part if part in mapping else next((key for key in mapping if str(key) == part), None)
