"""The stages' commands, run: two datasets folders, LoRA merge, and an artefact that loads with its processor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lf_assets
import pytest

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Context, Stage
from mindgpt_plugins.stages.dpo.stage import DPOStage
from mindgpt_plugins.stages.sft.stage import SFTStage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SFT = {
    "kind": "sft",
    "data": [{"set": "first/domain", "weight": 3}, {"set": "second/general", "weight": 1}],
    "max_steps": 4,
    "batch_size": 8,
    "gradient_accumulation": 2,
    "curriculum": "easy_to_hard",
    "lr": 1e-2,
    "freeze_vision_tower": False,
    "cutoff_len": 256,
}


def run(stage: Stage, raw: dict, context: Context) -> Path:
    config: StageConfig = stage.Config.model_validate({**raw, "model": "base"})
    assert stage.check(config, context) == []
    for command in stage.render(config, context):
        environment = lf_assets.environment(**command.env)
        done = subprocess.run(
            [sys.executable, *command.argv], env=environment, cwd=context.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return Path(stage.artefacts(config, context)["model"])


@pytest.mark.parametrize(
    ("stage", "raw"),
    [
        (SFTStage(), SFT),
        (SFTStage(), {**SFT, "finetuning": "lora", "kl": {"sources": ["general"]}}),
        (DPOStage(), {**SFT, "kind": "dpo", "data": ["first/pairs"]}),
    ],
    ids=["full", "lora", "dpo"],
)
def test_a_stage_leaves_a_model_that_loads(world: Path, tmp_path: Path, stage: Stage, raw: dict) -> None:
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    for name in ("first", "second"):
        lf_assets.write_data(tmp_path / name)
    (tmp_path / "stage").mkdir()
    inputs = {name: {"datasets": str(tmp_path / name)} for name in ("first", "second")}
    inputs["base"] = {"model": str(world / "model")}
    model = run(stage, raw, Context("x", tmp_path / "stage", inputs, seed=0, min_pixels=1024, max_pixels=4096))
    assert len(lf_assets.metrics(tmp_path / "stage")) == 4
    assert lf_assets.distance(world / "model", model) > 1e-4
    AutoModelForImageTextToText.from_pretrained(model)
    image = Image.open(tmp_path / "first" / "images" / "domain0.png")
    chat = [{"role": "user", "content": "<|vision_start|><|image_pad|><|vision_end|>What colour is it?"}]
    ids = []
    for folder in (world / "model", model):
        processor = AutoProcessor.from_pretrained(folder)
        text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids.append(processor(text=[text], images=[image])["input_ids"])
    assert ids[0] == ids[1]
