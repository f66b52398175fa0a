"""A user's recipe for the rehearsal's tests: their model without weights, and two sources of a few rows."""

from __future__ import annotations

from pathlib import Path

from support import hub_folders

MODEL = "Qwen/Qwen3-VL-8B-Instruct"
RECIPE = """
name: mine
device: cuda
image: {min_pixels: 4096, max_pixels: 262144}
stages:
  domain:
    kind: sft
    model: Qwen/Qwen3-VL-8B-Instruct
    data: [./data/train]
    epochs: 1
    batch_size: 64
    gradient_accumulation: 4
    workers: 8
    cutoff_len: 1024
    curriculum: {name: easy_to_hard}
    llamafactory: {deepspeed: null, flash_attn: fa2}
  rl:
    kind: rl
    model: domain
    train: ./data/train
    steps: 100
    prompts_per_step: 64
    workers: 8
    micro_batch: 8
    max_prompt_tokens: 512
    max_response_tokens: 256
    advantage: {k: 2}
"""


def write(folder: Path) -> Path:
    """Write recipe, data and the model's small files; the recipe's path."""
    from mindgpt_data.export import write_set
    from mindgpt_data.schema.rows import Row
    from PIL import Image

    hub_folders.make("qwen3_vl_8b", folder / "hub")
    images = folder / "data" / "images"
    images.mkdir(parents=True)
    rows = []
    for i in range(24):
        colour = ("red", "green", "blue")[i % 3]
        Image.new("RGB", (64 + 32 * (i % 4), 64), colour).save(images / f"{i}.png")
        rows.append(
            Row(
                uid=f"r{i}", image=[f"images/{i}.png"], question="what colour is it?", answer=colour,
                response=f"answer: {colour}", answer_type="text", source="general" if i < 16 else "charts",
                capability="perception.colour", difficulty=i / 24,
            )
        )  # fmt: skip
    write_set(rows, folder / "data", "train")
    path = folder / "mine.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path
