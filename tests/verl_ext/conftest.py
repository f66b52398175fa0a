"""A tiny world for tests that start verl."""

from pathlib import Path

import pytest
import real_verl


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with a tiny model and a handful of questions about coloured squares."""
    from mindgpt_data.export import write_set
    from mindgpt_data.schema.rows import Row
    from PIL import Image

    from mindgpt_plugins.stages.model.config import ModelConfig
    from mindgpt_plugins.stages.model.run import build_model

    root = tmp_path_factory.mktemp("world")
    images = root / "data" / "images"
    images.mkdir(parents=True)
    rows = []
    for i in range(16):
        colour = ("red", "green", "blue", "yellow")[i % 4]
        Image.new("RGB", (64, 64), colour).save(images / f"{i}.png")
        rows.append(
            Row(
                uid=f"r{i}", image=[f"images/{i}.png"], question="what colour is it?", answer=colour,
                response=f"answer: {colour}", answer_type="text", source="general", capability="perception.colour",
                difficulty=i / 16,
            )
        )  # fmt: skip
    write_set(rows, root / "data", "train")
    # 32 per head: the least that vLLM has an attention kernel for.
    sizes = ModelConfig(kind="model", tokenizer_from=["data/train"], hidden_size=64, heads=2, layers=2, vision_layers=2)
    build_model(sizes, [row.question + " " + row.response for row in rows], root / "model", 0, 32 * 32, 96 * 96)
    return root


@pytest.fixture(scope="session")
def spread(tmp_path_factory) -> str:
    """A plugin file with a reward every reply differs in; one file, because a name is registered once per process."""
    plugin = tmp_path_factory.mktemp("plugin") / "spread.py"
    plugin.write_text(real_verl.SPREAD)
    return str(plugin)
