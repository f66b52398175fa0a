"""Bad input through the real command: one clear message, a non-zero exit, nothing started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.pipeline import plan, preflight_all
from mindgpt_plugins.recipe.loading import load_recipe

Write = Callable[..., Path]
SFT = "tune: {kind: sft, model: ./model, data: [./data/cars], max_steps: 2, batch_size: 4, cutoff_len: 64}\n"


def mindgpt(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mindgpt_plugins.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


@pytest.fixture
def recipe(tmp_path: Path, write_recipe: Write) -> Path:
    """An SFT recipe on a user's own folder with one good picture."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    data = tmp_path / "data"
    data.mkdir()
    Image.effect_noise((64, 64), 90).convert("RGB").save(data / "a.png")
    turn = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "answer: car"}]
    (data / "cars.json").write_text(json.dumps([{"messages": turn, "images": ["a.png"], "uid": "car-1"}]))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {"file_name": "cars.json", "formatting": "sharegpt", "tags": tags}
    entry["columns"] = {"messages": "messages", "images": "images"}
    (data / "dataset_info.json").write_text(json.dumps({"cars": entry}))
    return write_recipe(SFT, name="own")


def test_a_sound_recipe_passes(recipe: Path) -> None:
    done = mindgpt("validate", str(recipe), cwd=recipe.parent)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "override, code, cause",
    [
        ("stages.tune.epohcs=1", 2, "unknown key 'epohcs'; did you mean 'epochs'?"),
        ("stages.tune.batch_size=many", 2, "stages.tune.batch_size: Input should be a valid integer"),
        ("stages.tune.gradient_accumulation=3", 1, "batch_size 4 is not divisible by gradient_accumulation x workers"),
        ("stages.tune.data=[./data/trucks]", 1, "lists no set 'trucks'"),
        ("stages.tune.data=[./nowhere/cars]", 2, "neither <stage>/<set> of an earlier stage nor a set in an existing"),
        ("stages.tune.curriculum.name=easy_to_hrad", 1, "did you mean 'easy_to_hard'?"),
        ("plugins=[./gone.py]", 2, "gone.py' does not exist"),
    ],
)
def test_faults_stop_before_anything_starts(recipe: Path, override: str, code: int, cause: str) -> None:
    done = mindgpt("run", str(recipe), override, cwd=recipe.parent)
    message = " ".join(done.stderr.split())
    assert done.returncode == code, message
    assert cause in message
    assert not (recipe.parent / "runs" / "stages").exists()


def test_corrupt_image_is_named(recipe: Path) -> None:
    image = recipe.parent / "data" / "a.png"
    image.write_bytes(image.read_bytes()[:200])
    done = mindgpt("run", str(recipe), cwd=recipe.parent)
    assert done.returncode == 1
    assert "uid car-1" in done.stderr and "cannot be read" in done.stderr


def test_host_version_outside_the_range(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "find_installed_version", lambda name: "0.9.3" if name == "llamafactory" else "5.5.4")
    with pytest.raises(StageError, match=r"llamafactory 0.9.3 is not supported \(supported: .*pip install"):
        preflight_all.check_planned_stages(plan.make_run_plan(load_recipe(str(recipe)), recipe.parent / "runs"))
