"""Recipes with faults in them, made from the shipped ones: the same number always gives the same recipe.

As a program it puts many of them through ``mindgpt validate`` and ``mindgpt run --dry-run`` in this process and prints
what came out: ``python tests/torture/mutated_recipes.py --count 2000 --json found.jsonl``.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

RECIPES = Path(__file__).parents[2] / "recipes"
#: Values that nobody means, by what they try: numbers, names, paths, kinds, markup, references.
HOSTILE: tuple[Any, ...] = (
    *(float("inf"), float("nan"), -1, 0, 0.5, 1e308, 10**12, 10**30, "1e400", "NaN", True, False, None),
    *(
        "",
        " ",
        ".",
        "..",
        "../..",
        "/",
        "/etc/passwd",
        "/dev/null",
        "~",
        "x" * 300,
        "a\0b",
        "a/b/c",
        "https://x/y",
        "-",
    ),
    *("yes", ":x:", "[bold]x", "é\u202e", "\ud800", "a\nb", "${seed}", "${nope}", "${oc.env:HOME}", "${stages}"),
    *(
        [],
        {},
        [None],
        [[]],
        {"a": 1},
        {"name": "nobody"},
        [1, 2],
        ["x", "x"],
        "a,b",
        "a=b",
        "0x10",
        "1_000",
        "2026-01-01",
    ),
)
_KINDS = ("data", "world", "model", "sft", "dpo", "rl", "evaluate", "interpolate", "quantise", "benchmark", "toy")


@dataclass(frozen=True)
class Outcome:
    """What both verbs said of one mutated recipe.

    Attributes:
        number: of the recipe.
        name: of the shipped one that it was made from.
        changes: what was done to it.
        validate: exit status of ``validate``.
        dry_run: exit status of ``run --dry-run``.
        seconds: the slower one's CPU time.
        said: the end of what ``validate`` said, or of what ``--dry-run`` said where only that refuses.
        crash: the traceback that a user would have seen, empty without one.
    """

    number: int
    name: str
    changes: tuple[str, ...]
    validate: int
    dry_run: int
    seconds: float
    said: str
    crash: str


def load_shipped_texts() -> dict[str, str]:
    """Name → text of every shipped recipe."""
    return {str(one.relative_to(RECIPES)): one.read_text(encoding="utf-8") for one in sorted(RECIPES.rglob("*.yaml"))}


def mutate_recipe(number: int, texts: dict[str, str]) -> tuple[str, str, tuple[str, ...]]:
    """The recipe of a number: the shipped one's name, the new text, and what was done."""
    chance = random.Random(number)
    name = chance.choice(sorted(texts))
    if chance.random() < 0.15:
        text, done = _change_text(texts[name], chance)
        return name, text, (done,)
    tree = yaml.safe_load(texts[name])
    done = tuple(_change_tree(tree, chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))
    return name, yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=1 << 20), done


def _change_tree(tree: Any, chance: random.Random) -> str:
    places = [one for one in _list_places(tree) if one]
    if not places:
        return "nothing left to change"
    place = chance.choice(places)
    holder = tree
    for part in place[:-1]:
        holder = holder[part]
    key, value = place[-1], holder[place[-1]]
    told = ".".join(map(str, place))
    change = chance.choice(
        ("value", "value", "value", "value", "drop", "misspell", "move", "wrap", "twice", "reference")
    )
    if change == "drop":
        del holder[key]
        return f"{told} dropped"
    if change == "misspell" and isinstance(holder, dict):
        new = _misspell(str(key), chance)
        _rename(holder, key, new)
        return f"{told} called {new!r}"
    if change == "move":
        other = chance.choice([one for one in places if one[: len(place)] != place] or [place])
        at = tree
        for part in other[:-1]:
            at = at[part]
        at[other[-1]] = copy.deepcopy(value)
        return f"{'.'.join(map(str, other))} := value of {told}"
    if change == "wrap":
        holder[key] = chance.choice(([value], {str(key): value}, str(value), [value, value]))
        return f"{told} wrapped: {holder[key]!r:.80}"
    if change == "twice" and isinstance(value, list) and value:
        value.append(copy.deepcopy(chance.choice(value)))
        return f"{told} has an entry twice"
    if change == "reference" and isinstance(tree, dict) and isinstance(tree.get("stages"), dict):
        stage = chance.choice(sorted(map(str, tree["stages"])) or ["gone"])
        holder[key] = chance.choice((stage, f"{stage}/nonsense", f"{stage}/dev", *_KINDS))
        return f"{told} := {holder[key]!r}"
    holder[key] = copy.deepcopy(chance.choice(HOSTILE))
    return f"{told} := {holder[key]!r:.60}"


def _change_text(text: str, chance: random.Random) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    change = chance.choice(("cut", "drop", "indent", "tab", "twice", "letter", "alias", "swap"))
    if change == "cut":
        end = chance.randrange(len(text))
        return text[:end], f"cut after {end} characters"
    if change == "letter":
        end = chance.randrange(len(text))
        return text[:end] + chance.choice("{}[]:,&*!|>'\"%@`#-?\0\t\x1b") + text[end + 1 :], f"letter {end} replaced"
    if change == "drop":
        del lines[at]
    elif change == "indent":
        lines[at] = " " * chance.randrange(1, 6) + lines[at].lstrip()
    elif change == "tab":
        lines[at] = "\t" + lines[at]
    elif change == "twice":
        lines.insert(at, lines[at])
    elif change == "alias":
        lines.insert(at, chance.choice(("stages: &s {a: *s}\n", "x: &x [1]\ny: *x\n", "<<: *nobody\n", "? [a]\n: b\n")))
    else:
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return "".join(lines), f"line {at + 1}: {change}"


def _list_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from _list_places(one, (*place, key))


def _misspell(key: str, chance: random.Random) -> str:
    at = chance.randrange(len(key))
    return chance.choice(
        (key[:at] + key[at + 1 :], key[:at] + "z" + key[at:], key + "s", key.upper(), "", " " + key, ".")
    )


def _rename(holder: dict[Any, Any], old: Any, new: str) -> None:
    items = [(new if key == old else key, value) for key, value in holder.items()]
    holder.clear()
    holder.update(items)


def try_recipes(
    numbers: range, folder: Path, *, ask: bool = True, note: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Both verbs on every recipe of ``numbers``, as the command would be run, in a copy of the recipes' folder.

    Args:
        numbers: of the recipes.
        folder: an empty one.
        ask: whether LLaMA-Factory is asked about its own keys, in its own process, which takes it seconds to import.
        note: called with every outcome.
    """
    if not ask:
        with mock.patch("mindgpt_plugins.stages.sft.host_check.find_host_key_problems", return_value=[]):
            return try_recipes(numbers, folder, note=note)
    texts = load_shipped_texts()
    shutil.copytree(RECIPES, folder / "recipes")
    outcomes = []
    for number in numbers:
        name, text, changes = mutate_recipe(number, texts)
        path = (folder / "recipes" / name).with_name("mutated.yaml")
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        spent, codes, said, crash = 0.0, [], [], ""
        for verb in (["validate", str(path)], ["run", str(path), "--dry-run"]):
            began = time.process_time()
            code, out, failed = _call([*verb, "--runs", str(folder / "runs")])
            spent = max(spent, time.process_time() - began)
            codes.append(code)
            said.append(out)
            crash = crash or failed
        path.unlink()
        shown = said[1] if codes[0] == 0 and codes[1] != 0 else said[0]
        outcomes.append(Outcome(number, name, changes, *codes, round(spent, 2), _shorten(shown), crash))
        note(outcomes[-1])
    return outcomes


def _shorten(text: str) -> str:
    return text if len(text) < 1200 else f"{text[:600]} … {text[-600:]}"


def _call(arguments: list[str]) -> tuple[int, str, str]:
    """Exit status, output and traceback of the command, in this process."""
    from mindgpt_plugins.cli import run_verb

    said = io.StringIO()
    with mock.patch.object(sys, "argv", ["mindgpt", *arguments]), contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(said))
        try:
            run_verb()
        except SystemExit as end:
            code = end.code
            return (code if isinstance(code, int) else 0 if code is None else 1), said.getvalue(), ""
        except Exception:  # what the user would see as a traceback
            return 1, said.getvalue(), traceback.format_exc()
    return 0, said.getvalue(), ""


def main() -> None:
    """Print counts, and write every outcome as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--unasked", action="store_true", help="leave LLaMA-Factory's own process out")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch, given.json.open("w", encoding="utf-8") as file:

        def note(one: Outcome) -> None:
            file.write(json.dumps(asdict(one)) + "\n")
            file.flush()
            counts["valid" if one.validate == 0 else "refused"] += 1
            counts["traceback"] += bool(one.crash)
            counts["over 5 s"] += one.seconds > 5
            counts["verdicts differ"] += (one.validate == 0) != (one.dry_run == 0)

        numbers = range(given.start, given.start + given.count)
        try_recipes(numbers, Path(scratch), ask=not given.unasked, note=note)
    print(dict(counts))


if __name__ == "__main__":
    main()
