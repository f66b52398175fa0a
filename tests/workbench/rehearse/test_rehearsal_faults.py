"""Faults planted in a user's recipe, data, plugins and hosts are caught before anything is trained, and named."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("torch")

from rehearse_assets import MODEL  # noqa: E402
from typer.testing import CliRunner, Result  # noqa: E402

from mindgpt_plugins.cli import build_cli_app  # noqa: E402

NAN = """
import math
from mindgpt_plugins.rewards.sdk import Rollout, reward

@reward
def ratio(r: Rollout) -> float:
    return math.nan if r.source == "charts" else 0.5
"""
OTHER_RELEASE = """
from transformers.models.qwen3_vl import modeling_qwen3_vl as host

def fast_pos_embed_interpolate(self, grid_thw):
    return self.another_way(grid_thw)

host.Qwen3VLVisionModel.fast_pos_embed_interpolate = fast_pos_embed_interpolate
"""


def rehearse(user: Path, *overrides: str) -> tuple[Result, str]:
    """Run the verb; its result, and what it said in one line of single spaces."""
    arguments = ["rehearse", str(user / "mine.yaml"), *overrides, "--runs", str(user / "runs")]
    result = CliRunner().invoke(build_cli_app(), [*arguments, "--model", f"{MODEL}={user / 'hub'}"])
    found = json.loads((user / "runs" / "rehearse" / "mine" / "rehearsal.json").read_text())
    failed = [f"{one['stage']}: {one['topic']}: {one['text']}" for one in found["findings"] if one["state"] == "failed"]
    assert result.exit_code == (1 if failed else 0), result.output
    assert not (user / "runs" / "rehearse" / "mine" / "runs").exists(), "a stage was started"
    return result, "\n".join(failed)


def test_a_batch_that_does_not_divide(user: Path) -> None:
    _, failed = rehearse(user, "stages.domain.batch_size=60", "stages.rl.micro_batch=7")
    assert (
        "domain: recipe and data: batch_size 60 is not divisible by gradient_accumulation x workers = 4 x 8" in failed
    )
    assert "rl: recipe and data: each worker has 64 replies per step, not divisible by micro_batch = 7" in failed


def test_images_too_large_for_the_prompt_limit(user: Path) -> None:
    import pyarrow as pa
    from PIL import Image
    from pyarrow import parquet

    large = io.BytesIO()
    Image.new("RGB", (1600, 1600)).save(large, "PNG")
    path = user / "data" / "train.parquet"
    table = parquet.read_table(path)
    rows = table.to_pylist()
    rows[5]["images"][0]["bytes"] = large.getvalue()
    parquet.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    _, failed = rehearse(
        user, "image.max_pixels=1048576", "stages.rl.max_prompt_tokens=512", "stages.rl.model=" + MODEL
    )
    assert "rl: recipe and data: dataset './data/train': row 5 (uid r5) has" in failed
    assert "max_prompt_tokens is 512" in failed


def test_a_column_that_is_missing(user: Path) -> None:
    path = user / "data" / "train.json"
    rows = json.loads(path.read_text())
    del rows[20]["difficulty"]
    path.write_text(json.dumps(rows))
    _, failed = rehearse(user)
    assert "the curriculum needs a number as difficulty: row 20 (uid r20): None" in failed


def test_a_parquet_without_what_rewards_compare_with(user: Path) -> None:
    from pyarrow import parquet

    path = user / "data" / "train.parquet"
    parquet.write_table(parquet.read_table(path).drop_columns(["reward_model"]), path)
    _, failed = rehearse(user)
    assert "rl: recipe and data: set './data/train': 24 rows: " in failed
    assert "no 'reward_model'" in failed


@pytest.mark.slow
def test_three_faults_of_plugins_template_and_host(user: Path) -> None:
    (user / "nan.py").write_text(NAN)
    (user / "host.py").write_text(OTHER_RELEASE)
    result, failed = rehearse(
        user,
        "stages.rl.rewards={accuracy: {}, ratio: {}}",
        "stages.domain.template=qwen2_vl",
        "stages.rl.patches={pos_embed_cache: on}",
        "plugins=[./nan.py,./host.py]",
    )
    assert "rl: rewards: source 'charts': " in failed
    assert "reward 'ratio', sample 'r" in failed
    assert "general" not in failed.partition("rl: rewards")[2].partition("\n")[0]
    assert "domain: chat template" in failed
    assert "pos_embed_cache (stages domain, rl) does not fit the installed host" in failed
