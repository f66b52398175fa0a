"""YAML that would become too large is refused by its text; every document here is harmless and just over a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.overrides import apply_overrides
from mindgpt_plugins.core.yaml_limits import (
    LONGEST_NUMBER,
    MOST_REFERENCES,
    RECIPE_LIMITS,
    YamlLimits,
    check_interpolations,
    check_yaml_text,
    read_yaml_mapping,
)

SMALL = YamlLimits(size=1000, nodes=50, depth=5)


def lists(levels: int) -> str:
    return "a: " + "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join(f"k{number}: 1" for number in range(25)), "line 25: more than 50 keys and values"),
        ("a: &x [1, 2, 3, 4, 5, 6, 7, 8, 9]\nb: [*x, *x, *x, *x]\n", "line 2: more than 50 keys and values"),
        ("a: &x [1, 2, 3, 4]\nb: &y [*x, *x, *x]\nc: [*y, *y]", "line 3: more than 50"),
        (lists(5), "line 1: more than 5 mappings and lists"),
        ("a: &x [[[1]]]\nb: [[*x]]", "line 2: more than 5 mappings and lists"),
        ("a: &x [*x]", r"\*x stands inside of what it names"),
        (f"a: {'1' * (LONGEST_NUMBER + 1)}", "a number of more than 64 characters"),
    ],
)
def test_what_is_just_over_a_limit(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_yaml_text(text, SMALL)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"k{number}: 1" for number in range(24)),
        "a: &x [1, 2, 3, 4, 5, 6, 7, 8]\nb: [*x, *x, *x]\n",
        lists(4),
        f"a: {'1' * LONGEST_NUMBER}\nb: '{'1' * 200}'",
        "",
    ],
)
def test_what_keeps_the_limits(text: str) -> None:
    check_yaml_text(text, SMALL)


@pytest.mark.parametrize("shape", ["[1]", "root:x:0:0", "3"])
def test_a_file_that_is_no_mapping(tmp_path: Path, shape: str) -> None:
    (tmp_path / "a.yaml").write_text(shape)
    with pytest.raises(InputError, match="must be a mapping of keys, not a list or a single value"):
        read_yaml_mapping(tmp_path / "a.yaml")


def test_a_file_over_the_size_is_not_read_further(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n#" + "x" * 1000)
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        read_yaml_mapping(path, SMALL)
    path.write_text("a: 1\n")
    assert read_yaml_mapping(path, SMALL) == {"a": 1}


def test_interpolations_are_measured_before_they_are_resolved() -> None:
    chain = {f"a{number}": f"${{a{number - 1}}}" for number in range(1, MOST_REFERENCES + 1)} | {"a0": 1}
    check_interpolations(chain)
    with pytest.raises(InputError, match="in a circle or more than 16 times"):
        check_interpolations(chain | {"b": f"${{a{MOST_REFERENCES}}}"})
    with pytest.raises(InputError, match="^a: .* in a circle"):
        check_interpolations({"a": "${b}", "b": "${a}"})
    doubled = {"a": "x" * 200, "b": "${a}${a}"}
    check_interpolations(doubled, SMALL)
    with pytest.raises(InputError, match=r"c: its .* become more than 1,000 characters"):
        check_interpolations(doubled | {"c": "${b}${b}${a}"}, SMALL)


def test_what_an_interpolation_names() -> None:
    long = "x" * 900
    for one in ("${.other}", "${.other.deep}", "${list[0]}", "${name:${list.0}}", "${.${key}}"):
        data = {"here": {"a": "y" * 200 + one, "other": {"deep": long}}, "list": [long], "key": "other"}
        with pytest.raises(InputError):
            check_interpolations(data, YamlLimits(1000 + len(long), 50, 5))
    check_interpolations({"seed": 1, "a": "${seed} and all of the stages", "stages": {"b": "${a}"}}, SMALL)


def test_overrides_have_the_limits_too() -> None:
    from omegaconf import OmegaConf

    tree = OmegaConf.create({"a": 1})
    with pytest.raises(ValueError, match="more than 40 mappings and lists"):
        apply_overrides(tree, [lists(RECIPE_LIMITS.depth + 1).replace("a: ", "a=")])
