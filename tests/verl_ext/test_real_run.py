"""Real verl on CPU: Ray, FSDP, rollouts, rewards in their workers. Minutes; run with ``-m slow``."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from real_verl import commands, launch, lines, stage

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PLUGIN = Path(__file__).parents[1] / "third_party_plugin" / "src" / "mindgpt_example_reward" / "rewards.py"
REWARDS = {
    "spread": {},
    "mentions_target": {"weight": 0.5, "options": {"credit": 1.0}},
    "conciseness": {"weight": 0.2, "options": {"budget": 16}},
}


def test_a_run_with_a_third_party_reward_and_an_exact_resume(world: Path, tmp_path: Path, spread: str, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # as on a GPU machine that is to stay on the CPU
    folder, plugins = tmp_path / "rl", (spread, str(PLUGIN))
    first = launch(folder, stage(world, rewards=REWARDS), plugins)
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

    # By hand on other ranks: ends before Ray, of which nothing is said.
    argv, environment = commands(folder, stage(world, rewards=REWARDS), plugins)[0]
    other = ["trainer.n_gpus_per_node=2" if part == "trainer.n_gpus_per_node=1" else part for part in argv]
    refused = subprocess.run(other, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert refused.returncode != 0 and "ray init" not in refused.stdout
    assert "makes 2 training ranks" in refused.stderr and "was written by 1" in refused.stderr

    # As if killed between the two steps: the same command repeats the second one and nothing else.
    weights, dump = (model / "model.safetensors").read_bytes(), lines(folder / "rollouts" / "2.jsonl")
    shutil.rmtree(folder / "checkpoints/global_step_2")
    (folder / "checkpoints/latest_checkpointed_iteration.txt").write_text("")
    second = launch(folder, stage(world, rewards=REWARDS), plugins)
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
    done = launch(folder, stage(world, rewards={"fragile": {}}), (str(plugin),))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "a reward failed on 16 of 16 replies; the first: RewardError: reward 'fragile', sample 'r" in said
    assert "raised ZeroDivisionError" in said and "No update was made" in said
    assert not (folder / "checkpoints" / "global_step_1").exists()
