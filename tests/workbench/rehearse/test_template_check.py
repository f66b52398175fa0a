"""The right template passes, a wrong one is named with the place and the one that fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llamafactory")

from support import hub_folders  # noqa: E402

from mindgpt_plugins.llamafactory_ext.template_check import main  # noqa: E402

SEEN = [
    {"messages": [{"role": "user", "content": "<image>what colour is it?"}, {"role": "assistant", "content": "red"}]}
    | {"images": ["a.png"], "uid": "one"},
    {
        "messages": [
            {"role": "user", "content": "compare <image> with <image>"},
            {"role": "assistant", "content": "The first is larger."},
            {"role": "user", "content": "and by how much?"},
            {"role": "assistant", "content": "by half"},
        ],
        "images": ["a.png", "b.png"],
        "uid": "two",
    },
]
READ = [
    {"messages": [{"role": "user", "content": "two and two?"}, {"role": "assistant", "content": "four"}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one and one?"},
            {"role": "assistant", "content": "two"},
        ]
    },
]


@pytest.fixture
def case(tmp_path: Path) -> Any:
    """Write a model folder and a set, run the check, return its exit status."""

    def run(name: str, template: str, *options: str, rows: list[dict[str, Any]] | None = None, chat: str = "") -> int:
        folder = hub_folders.make(name, tmp_path / name, words=1000)
        if chat:
            for file in ("tokenizer_config.json", "chat_template.json"):
                if (folder / file).is_file():
                    content = json.loads((folder / file).read_text())
                    (folder / file).write_text(json.dumps(content | {"chat_template": chat}))
        sees = "_vl_" in name
        entry = {"formatting": "sharegpt", "columns": {"messages": "messages"} | ({"images": "images"} if sees else {})}
        entry["tags"] = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
        entry["tags"]["system_tag"] = "system"
        (tmp_path / "dataset_info.json").write_text(json.dumps({"set": entry | {"file_name": "set.json"}}))
        (tmp_path / "set.json").write_text(json.dumps(rows or (SEEN if sees else READ)))
        return main([str(folder), template, str(tmp_path / "set.json"), *options])

    return run


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("qwen3_vl_8b", "qwen3_vl_nothink"),
        ("qwen3_vl_30b_a3b", "qwen3_vl_nothink"),
        ("qwen2_5_vl_7b", "qwen2_vl"),
        ("qwen3_8b", "qwen3"),
        ("qwen2_5_7b", "qwen"),
    ],
)
def test_the_right_template(case: Any, capsys: pytest.CaptureFixture[str], name: str, template: str) -> None:
    assert case(name, template, "--strict") == 0
    said = capsys.readouterr().out
    assert f"template {template!r} fits" in said and "2 rows" in said and "note" not in said


@pytest.mark.parametrize(
    ("name", "template", "said"),
    [
        ("qwen3_vl_8b", "qwen3_vl", ["row 0 (uid one)", "begins replies with an empty think block", "<think>"]),
        (
            "qwen3_vl_8b",
            "qwen2_vl",
            ["row 0 (uid one), token 1", "system\\nYou are a helpful", "default system prompts differ"],
        ),
        ("qwen3_vl_8b", "llama3", ["row 0 (uid one)", "does not support image input"]),
        ("qwen3_vl_8b", "glm4v", ["row 0", "<|user|>"]),
    ],
)
def test_a_wrong_template(
    case: Any, capsys: pytest.CaptureFixture[str], name: str, template: str, said: list[str]
) -> None:
    assert case(name, template) == 1
    out = capsys.readouterr().out
    assert f"template {template!r} does not fit" in out
    assert "templates that fit as they are: " in out and "qwen3_vl_nothink" in out.splitlines()[-1]
    assert all(one in out for one in said), out


def test_a_wrong_template_for_text(case: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert case("qwen3_8b", "llama3") == 1
    out = capsys.readouterr().out
    assert (
        "row 0, token 0" in out
        and "<|start_header_id|>user" in out
        and "qwen3" in out.splitlines()[-1].rpartition(": ")[2].split(", ")
    )


def test_harmless_differences_are_said(case: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert case("qwen3_8b", "qwen3_nothink") == 0
    assert "note (think, 2 of 2 rows)" in capsys.readouterr().out
    assert case("qwen3_8b", "qwen3_nothink", "--strict") == 1
    assert case("qwen3_8b", "qwen3", "--thinking", "off") == 0, "the block is in the prompt, as without thinking"
    capsys.readouterr()
    turns = [*READ[0]["messages"], {"role": "user", "content": "sure?"}, {"role": "assistant", "content": "yes"}]
    assert case("qwen3_8b", "qwen3", rows=[{"messages": turns}]) == 0
    assert "note (history, 1 of 1 rows)" in capsys.readouterr().out
    assert case("qwen3_vl_8b", "qwen3_vl_nothink", "--default-system", "You are a judge.") == 0
    assert "note (system, 2 of 2 rows)" in capsys.readouterr().out
    assert case("qwen3_vl_8b", "qwen3_vl_nothink", "--strict") == 0, "the host's templates stay as they were"
    capsys.readouterr()
    bare = hub_folders.chat_template("qwen3_vl_8b").replace(
        "{{- '<|im_end|>\\n' }}{%- endfor %}",
        "{{- '<|im_end|>' + ('' if loop.last and not add_generation_prompt else '\\n') }}{%- endfor %}",
    )
    assert case("qwen3_vl_8b", "qwen3_vl_nothink", chat=bare) == 0
    assert "note (newline, 2 of 2 rows)" in capsys.readouterr().out


def test_a_prompt_that_was_not_trained_on(case: Any, capsys: pytest.CaptureFixture[str]) -> None:
    plain = hub_folders.chat_template("qwen3_vl_8b")
    thinking = plain.replace("assistant\\n' }}{%- endif", "assistant\\n<think>\\n' }}{%- endif")
    assert thinking != plain
    assert case("qwen3_vl_8b", "qwen3_vl_nothink", chat=thinking) == 1
    assert "generated from a prompt that was not trained on" in capsys.readouterr().out


def test_nothing_to_compare(case: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert case("qwen3_8b", "qwen3_nothing") == 2
    assert "did you mean 'qwen3_nothink'" in capsys.readouterr().err
    assert main([str(tmp_path / "qwen3_8b"), "qwen3", str(tmp_path / "other.json")]) == 2
    assert "no set of" in capsys.readouterr().err
    odd = [{"messages": [{"role": "user", "content": "alone"}]}]
    assert case("qwen3_8b", "qwen3", rows=odd) == 2
    assert "plain conversation" in capsys.readouterr().err


def test_pictures_without_their_mark(case: Any, capsys: pytest.CaptureFixture[str]) -> None:
    row = SEEN[0] | {"messages": [{"role": "user", "content": "no mark"}, SEEN[0]["messages"][1]]}
    assert case("qwen3_vl_8b", "qwen3_vl_nothink", rows=[row]) == 1
    assert "cannot render it: The number of images does not match" in capsys.readouterr().out
