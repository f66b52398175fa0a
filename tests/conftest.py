"""Shared set-up and fixtures: a toy stage kind, so that the runner is tested on real processes without any trainer."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from mindgpt_patches.cpu import wheels

from mindgpt_plugins.core import device, registry
from mindgpt_plugins.core.process import build_child_environment

# The first example of a test may import a host for seconds; time limits are pytest-timeout's job.
settings.register_profile("mindgpt", deadline=None)
settings.load_profile("mindgpt")

# Tests import torchvision in this process and in children, as a stage's processes do.
if device.resolve_device("auto") == "cpu":
    wheels.install_finder()
    os.environ.update(build_child_environment(cpu=True, offline=True, extra={}))

TOY_PLUGIN = '''
import json, sys
from pathlib import Path
from typing import Literal
from pydantic import Field
from mindgpt_plugins.stages.base import Command, Stage
from mindgpt_plugins.core.schema import ModelRef, StageConfig, Strict
from mindgpt_plugins.core.registry import register

class Inner(Strict):
    rate: float = 1.0

class ToyConfig(StageConfig):
    kind: Literal["toy"] = "toy"
    model: ModelRef | None = None
    steps: int = Field(3, gt=0)
    inner: Inner = Inner()
    fail: bool = False
    sleep: float = 0.0

# Counts to `steps`, one file per step, like a trainer with checkpoints: a restart goes on after the last one.
SCRIPT = """
import json, pathlib, sys, time
config = json.loads(pathlib.Path("config.json").read_text())
for step in range(1, config["steps"] + 1):
    checkpoint = pathlib.Path(f"checkpoint-{step}")
    if checkpoint.exists():
        continue
    time.sleep(config["sleep"])
    with open("work.txt", "a") as file: file.write(f"{step}\\\\n")
    checkpoint.touch()
    with open("metrics.jsonl", "a") as file: file.write(json.dumps({"step": step, "total": config["steps"]}) + "\\\\n")
if config["fail"]:
    sys.exit("ValueError: the toy was told to fail")
pathlib.Path("model").mkdir(exist_ok=True)
"""

@register("stage", "toy")
class Toy(Stage):
    Config = ToyConfig
    side = "data"
    def render(self, config, context):
        (context.folder / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
        return [Command(("-c", SCRIPT), {"TOY": "1"})]
    def artefacts(self, config, context):
        return {"model": str(context.folder / "model")}
    def check(self, config, context):
        return ["steps must not be 13"] if config.steps == 13 else []
'''


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    """Each test starts from what ships; names registered in a test do not leak."""
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Write a recipe next to the toy plugin and return its path."""
    (tmp_path / "toy_plugin.py").write_text(TOY_PLUGIN)

    def write(stages: str, name: str = "toy", head: str = "") -> Path:
        path = tmp_path / f"{name}.yaml"
        body = textwrap.indent(textwrap.dedent(stages), "  ")
        path.write_text(f"name: {name}\nplugins: [./toy_plugin.py]\ndevice: cpu\n{head}\nstages:\n{body}\n")
        return path

    return write
