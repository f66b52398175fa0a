"""``mindgpt model`` and the faults of a folder that every stage would stumble over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.families.soundness import find_model_faults

pytest.importorskip("llamafactory")
Build = Callable[[str], Path]


def say(*arguments: str) -> tuple[int, dict[str, list[str]]]:
    done = CliRunner().invoke(build_cli_app(), ["model", *arguments, "--json"])
    found: dict[str, list[str]] = {}
    for fact in json.loads(done.stdout)["facts"] if done.stdout.startswith("{") else ():
        found.setdefault(fact["what"], []).append(fact["found"])
    return done.exit_code, found


def test_a_model_is_described(build: Build) -> None:
    status, found = say(str(build("gemma3")))
    assert status == 0
    assert found["model"] == ["gemma3: Gemma3ForConditionalGeneration"]
    assert found["begin token"] == ["<bos>, written by the template"]
    assert found["sft, dpo"] == ["template gemma3"]
    assert found["rl"] == ["by the patch verl_processors"]
    (alone, within) = found["tokens of 1024 × 1024 pixels"]
    assert alone.split()[0] == within.split()[0]  # its pictures have a fixed number of tokens


def test_areas_are_counted_within_the_limits(build: Build) -> None:
    _, found = say(str(build("qwen2_5_vl")), "--max-pixels", "9216")
    (alone, within) = found["tokens of 1024 × 1024 pixels"]
    assert int(alone.split()[0]) > int(within.split()[0])
    assert found["chat template"] == ["opens none; has no switch"]


def test_what_is_wrong_with_a_folder_is_one_line(build: Build, tmp_path: Path) -> None:
    folder = shutil.copytree(build("qwen2_5_vl"), tmp_path / "model")
    assert list(find_model_faults(folder)) == []
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"image_token_id": 10**6}))
    (fault,) = find_model_faults(folder)
    assert "the picture's token of qwen2_5_vl is 1000000, but the tokenizer has" in fault
    shutil.copy(build("gemma3") / "config.json", folder / "config.json")
    (fault,) = find_model_faults(folder)
    assert "Qwen2_5_VLProcessor writes token" in fault and "but gemma3 looks for" in fault
    remote = config | {"model_type": "own_vl", "auto_map": {"AutoModelForCausalLM": "modeling.Own"}}
    (folder / "config.json").write_text(json.dumps(remote))
    (fault,) = find_model_faults(folder)
    assert "own_vl is code of its own folder" in fault
    assert say(str(folder))[0] == 1


def test_no_model(tmp_path: Path) -> None:
    done = CliRunner().invoke(build_cli_app(), ["model", str(tmp_path)])
    assert isinstance(done.exception, ValueError) and "holds no config.json" in str(done.exception)


def test_a_sound_folder_has_no_fault(family: str, build: Build) -> None:
    assert list(find_model_faults(build(family))) == []


def test_a_processor_that_another_family_has_as_well_is_no_fault(build: Build, tmp_path: Path) -> None:
    """Pixtral's first checkpoint is a LLaVA with Pixtral's processor."""
    folder = shutil.copytree(build("mistral3"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llava"}))
    assert list(find_model_faults(folder)) == []
