"""Real verl on CPU: Ray, FSDP, rollouts, rewards in their workers. Minutes; run with ``-m slow``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mindgpt_plugins.pipeline.stage import Context
from mindgpt_plugins.pipeline.stages.rl import RL
from mindgpt_plugins.recipe.rl import RLConfig

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PLUGIN = Path(__file__).parents[1] / "third_party_plugin" / "src" / "mindgpt_example_reward" / "rewards.py"
# Something every reply differs in, so that an untrained model gets a gradient.
SPREAD = """
from mindgpt_plugins.rewards.sdk import Rollout, reward

@reward
def spread(r: Rollout) -> float:
    return sum(r.token_ids) % 7 / 6
"""
REWARDS = {
    "spread": {},
    "mentions_target": {"weight": 0.5, "options": {"credit": 1.0}},
    "conciseness": {"weight": 0.2, "options": {"budget": 16}},
}


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with a tiny model and a handful of questions about coloured squares."""
    from mindgpt_data.export import write_set
    from mindgpt_data.rows import Row
    from PIL import Image

    from mindgpt_plugins.models.tiny_qwen3_vl import build
    from mindgpt_plugins.recipe.model import ModelConfig

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
    sizes = ModelConfig(kind="model", tokenizer_from=["data/train"], hidden_size=64, layers=2, vision_layers=2)
    build(sizes, [row.question + " " + row.response for row in rows], root / "model", 0, 32 * 32, 96 * 96)
    return root


def run(folder: Path, world: Path, plugins: tuple[str, ...] = (), **changes) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    settings = {
        "kind": "rl", "model": str(world / "model"), "train": f"{world / 'data'}/train", "steps": 2, "lr": 1e-4,
        "group_size": 4, "prompts_per_step": 4, "micro_batch": 16, "max_response_tokens": 8, "save_every": 1,
        "rewards": REWARDS,
    } | changes  # fmt: skip
    config = RLConfig.model_validate(settings)
    context = Context(name="rl", folder=folder, inputs={}, seed=0, plugins=plugins)
    command = RL().render(config, context)[0]
    from mindgpt_patches.cpu import SITE

    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | command.env | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *command.argv], cwd=folder, env=environment, capture_output=True, text=True, timeout=1500
    )


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_with_a_third_party_reward_and_an_exact_resume(world: Path, tmp_path: Path):
    plugin = tmp_path / "spread.py"
    plugin.write_text(SPREAD)
    folder, plugins = tmp_path / "rl", (str(plugin), str(PLUGIN))
    first = run(folder, world, plugins)
    assert first.returncode == 0, first.stdout[-4000:] + first.stderr[-4000:]
    loaded = json.loads((folder / "loaded.json").read_text())
    assert loaded["trainer"]["class"].endswith("MindGPTSyncTrainer")
    assert loaded["reward"]["pids"] and loaded["trainer"]["pid"] not in loaded["reward"]["pids"]
    metrics = lines(folder / "metrics.jsonl")
    assert [line["step"] for line in metrics] == [1, 2]
    assert metrics[0]["reward/mentions_target/scored"] == 1.0
    assert metrics[0]["reward/conciseness/weight"] == 0.2
    assert metrics[0]["group/size"] == 4
    assert metrics[0]["actor/grad_norm"] > 0
    replies = lines(folder / "rollouts" / "1.jsonl")
    assert len(replies) == 16
    assert set(replies[0]["components"]) == {"spread", "mentions_target", "conciseness"}
    assert replies[0]["input"] == "what colour is it?"
    assert replies[0]["image"][0].startswith("images/")
    model = folder / "checkpoints/global_step_2/actor/huggingface"
    assert {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"} <= set(os.listdir(model))

    # As if killed between the two steps: the same command repeats the second one and nothing else.
    weights, dump = (model / "model.safetensors").read_bytes(), lines(folder / "rollouts" / "2.jsonl")
    shutil.rmtree(folder / "checkpoints/global_step_2")
    (folder / "checkpoints/latest_checkpointed_iteration.txt").write_text("")
    second = run(folder, world, plugins)
    assert second.returncode == 0, second.stdout[-4000:] + second.stderr[-4000:]
    again = lines(folder / "metrics.jsonl")
    assert [line["step"] for line in again] == [1, 2]
    assert lines(folder / "rollouts" / "2.jsonl") == dump
    timed = ("seconds", "perf", "actor/perf")
    assert {k: v for k, v in again[1].items() if not k.startswith(timed)} == {
        k: v for k, v in metrics[1].items() if not k.startswith(timed)
    }
    assert (model / "model.safetensors").read_bytes() == weights


def test_a_reward_that_raises_stops_the_run_before_its_first_update(world: Path, tmp_path: Path):
    plugin = tmp_path / "fragile.py"
    plugin.write_text(
        "from mindgpt_plugins.rewards.sdk import Rollout, reward\n\n\n"
        "@reward\ndef fragile(r: Rollout) -> float:\n    return 1 / 0\n"
    )
    folder = tmp_path / "rl"
    done = run(folder, world, (str(plugin),), rewards={"fragile": {}})
    assert done.returncode != 0
    assert "a reward failed on 16 of 16 replies; the first: ZeroDivisionError" in done.stdout + done.stderr
    assert not (folder / "checkpoints" / "global_step_1").exists()
