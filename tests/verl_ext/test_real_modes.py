"""Real verl on CPU: prompts with different numbers of replies, the group filter, and the asynchronous mode."""

import json
import shutil

import pytest
import real_verl

pytest.importorskip("transfer_queue")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# Nothing to learn from easy prompts; every reply to a hard one differs.
UNEVEN = """
from mindgpt_plugins.rewards.sdk import Rollout, reward

@reward
def uneven(r: Rollout) -> float:
    return 0.0 if r.difficulty < 0.25 else sum(r.token_ids) % 7 / 6
"""
ROLES = {"driver", "reward", "agent_loop", "training", "rollout"}


@pytest.fixture
def uneven(tmp_path) -> str:
    plugin = tmp_path / "uneven.py"
    plugin.write_text(UNEVEN)
    return str(plugin)


def test_more_replies_for_hard_prompts_and_groups_without_signal_left_out(world, tmp_path, uneven):
    config = real_verl.stage(
        world, rewards={"uneven": {}}, micro_batch=4, prompts_per_step=8, group_size=2, save_every=2,
        group_size_by_difficulty={0.5: 5}, curriculum={"name": "shuffled"},
        advantage={"k": 2, "filter": {"epsilon": 1e-6}},
    )  # fmt: skip
    metrics = real_verl.run(tmp_path / "rl", config, (uneven,))
    assert [line["step"] for line in metrics] == [1, 2]
    for line in metrics:
        replies = real_verl.lines(tmp_path / "rl" / "rollouts" / f"{line['step']}.jsonl")
        sizes = {row["group"]: 0 for row in replies}
        for row in replies:
            sizes[row["group"]] += 1
        assert {(row["difficulty"] >= 0.5, sizes[row["group"]]) for row in replies} <= {(True, 5), (False, 2)}
        assert len(sizes) == 8
        assert line["group/padding_rows"] == -len(replies) % 4
        easy = [row for row in replies if row["difficulty"] < 0.25]
        assert all(row["dropped"] and row["advantage"] == 0 for row in easy)
        assert line["actor/grad_norm"] > 0
        assert line["group/dropped_replies"] == sum(row["dropped"] for row in replies)
    assert sum(line["group/dropped_replies"] for line in metrics) > 0
    first = real_verl.lines(tmp_path / "rl" / "rollouts" / "1.jsonl")[0]
    assert {"answer_type", "boxes", "alpha", "dropped"} <= set(first)
    roles = json.loads((tmp_path / "rl" / "loaded.json").read_text())["roles"]
    assert set(roles) == ROLES
    assert all(roles.values())


def test_generation_goes_on_over_updates(world, tmp_path, spread):
    config = real_verl.stage(
        world, mode="colocate_async", steps=4, prompts_per_step=4, group_size=4, micro_batch=4, save_every=2,
        max_response_tokens=48, rewards={"spread": {}},
    )  # fmt: skip
    folder = tmp_path / "rl"
    metrics = real_verl.run(folder, config, (spread,))
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    for line in metrics:
        replies = real_verl.lines(folder / "rollouts" / f"{line['step']}.jsonl")
        assert len(replies) == 16
        assert line["actor/grad_norm"] > 0
    assert max(line["reply/steps_behind/max"] for line in metrics) >= 1  # begun before the last update
    loaded = json.loads((folder / "loaded.json").read_text())
    assert loaded["trainer"]["class"].endswith("MindGPTColocateAsyncTrainer")
    assert (folder / "checkpoints" / "global_step_4" / "transfer_queue").exists()

    # As if killed after step 2: prompts that were under way then are asked again, and no step is trained twice.
    shutil.rmtree(folder / "checkpoints" / "global_step_4")
    (folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("2")
    again = real_verl.run(folder, config, (spread,))
    assert [line["step"] for line in again] == [1, 2, 3, 4]
    assert again[:2] == metrics[:2]
    assert (folder / "checkpoints" / "global_step_4" / "actor" / "huggingface" / "model.safetensors").exists()
