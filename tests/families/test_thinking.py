"""One switch for every stage, and a template that trains what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from mindgpt_plugins.families import Thinking, find_family, load_processor
from mindgpt_plugins.recipe.schema import RecipeHead

Build = Callable[[str], Path]
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


@pytest.mark.parametrize(("written", "meant"), [(True, "on"), (False, "off"), ("on", "on"), ("model", "model")])
def test_yaml_reads_on_and_off_as_truth_values(written: Any, meant: str) -> None:
    assert RecipeHead.model_validate({"name": "a", "thinking": written}).thinking == meant


def test_the_switch_changes_what_is_asked(build: Build) -> None:
    processor = load_processor(str(build("qwen3_5")))
    asked = {
        one: find_family(processor, one).render_chat([{"role": "user", "content": "?"}]) for one in get_args(Thinking)
    }
    assert asked["model"] == asked["on"] and asked["on"].endswith("<think>\n")
    assert asked["off"].endswith("<think>\n\n</think>\n\n")
    assert [find_family(processor, one).find_thinking_problem() for one in get_args(Thinking)] == [None] * 3


def test_a_model_without_the_switch_is_refused_where_it_matters(build: Build) -> None:
    processor = load_processor(str(build("qwen2_5_vl")))
    assert find_family(processor, "off").find_thinking_problem() is None
    problem = find_family(processor, "on").find_thinking_problem()
    assert problem is not None and "has no switch (enable_thinking) and never opens one" in problem
    processor.chat_template = processor.chat_template.replace(
        "assistant\\n' }}{%- endif", "assistant\\n<think>\\n' }}{%- endif"
    )
    assert find_family(processor, "on").find_thinking_problem() is None
    problem = find_family(processor, "off").find_thinking_problem()
    assert problem is not None and "always opens a thought" in problem


@pytest.mark.parametrize(
    ("template", "thinking", "reply", "fits"),
    [
        ("qwen3_5", "off", "red", True),
        ("qwen3_5", "model", "red", False),  # the opened thought and the empty one are other tokens
        ("qwen3_5", "model", "<think>\nI see.\n</think>\n\nred", True),
        ("qwen3_5_nothink", "model", "red", False),  # breadth.md's A5: 16 of 16 replies empty
    ],
)
def test_what_is_asked_is_what_was_trained(
    template: str, thinking: Thinking, reply: str, fits: bool, build: Build, tmp_path: Path
) -> None:
    pytest.importorskip("llamafactory")
    from mindgpt_plugins.llamafactory_ext.template_check import check_template

    rows = [{"messages": [{"role": "user", "content": "<image>colour?"}, {"role": "assistant", "content": reply}]}]
    entry = {"formatting": "sharegpt", "columns": {"messages": "messages", "images": "images"}, "tags": TAGS}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": entry | {"file_name": "set.json"}}))
    (tmp_path / "set.json").write_text(json.dumps([row | {"images": ["a.png"]} for row in rows]))
    found = check_template(str(build("qwen3_5")), template, tmp_path, "set", thinking=thinking)
    assert (found.fault is None) is fits, found
    if not fits:
        assert "qwen3_5 with thinking: off" in found.fitting
        assert "row 0, token" in found.describe(template, "m")
