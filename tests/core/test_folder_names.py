"""Text that becomes the name of a folder, or a path."""

from __future__ import annotations

import pytest

from mindgpt_plugins.core.names import LONGEST_NAME, find_name_problem, find_path_problem, shorten_text


@pytest.mark.parametrize("name", ["a", "a b", "été", "a.b", "-x", "x" * LONGEST_NAME])
def test_names_that_can_be_folders(name: str) -> None:
    assert find_name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "cannot be"),
        (".", "cannot be"),
        ("..", "cannot be"),
        ("a/b", "contains '/'"),
        ("a\0b", "control character"),
        ("a\x1b[31m", "control character"),
        ("\ud800", "cannot be written as UTF-8"),
        (" a", "begins or ends with a space"),
        ("a ", "begins or ends with a space"),
        ("é" * 128, "has 256 bytes as UTF-8, and 255 are the most"),
    ],
)
def test_names_that_cannot(name: str, said: str) -> None:
    assert said in (find_name_problem(name) or "")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "is empty"),
        ("a\0b", "NUL"),
        ("\ud800", "UTF-8"),
        (f"a/{'x' * 256}/b", "a name of 256 bytes in it"),
        ("/".join(["abcdefg"] * 600), "and a path has 4095 at most"),
    ],
)
def test_paths_that_lead_nowhere(path: str, said: str) -> None:
    assert said in (find_path_problem(path) or "")
    assert find_path_problem("/".join(["x" * 255] * 3)) is None


def test_long_text_in_messages() -> None:
    assert shorten_text("x" * 120) == "x" * 120
    assert shorten_text("a" * 100 + "b" * 100) == "a" * 60 + "…" + "b" * 60
