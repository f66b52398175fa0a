"""Every name of verl that we touch exists, is of the right kind and takes the parameters we use. Imports no host."""

import ast
import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.find_spec("verl")
pytestmark = pytest.mark.skipif(SPEC is None, reason="verl is not installed")

# (file, qualified name, parameters we pass or override with). "" means: any assignment, class or function of that name.
SEAMS: list[tuple[str, str, list[str]]] = [
    ("trainer/ppo/v1/trainer_base.py", "register_trainer", ["name"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer.__init__", ["self", "config"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._setup", ["self"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._build_replay_buffer", ["self"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._init_dataloader", ["self"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer.fit", ["self", "agent_loop_manager"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._next_train_batch", ["self", "num_prompts"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._get_required_batch_multiple", ["self", "dp_size"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._update_actor", ["self", "batch", "metrics"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._rollout_server_managers", ["self"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._balance_batch", ["self", "batch", "metrics"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._compute_advantage", ["self", "batch", "metrics"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer._load_checkpoint", ["self"]),
    ("trainer/ppo/v1/trainer_base.py", "PPOTrainer.step", ["self", "metrics", "timing_raw"]),
    (
        "trainer/ppo/v1/trainer_base.py",
        "PPOTrainer._log_rollout_data",
        ["self", "batch", "timing_raw", "rollout_data_dir"],
    ),
    (
        "trainer/ppo/v1/trainer_base.py",
        "PPOTrainer._dump_generations",
        ["self", "inputs", "outputs", "gts", "scores", "reward_extra_infos_dict", "dump_path"],
    ),
    (
        "trainer/ppo/v1/trainer_base.py",
        "PPOTrainer._val_metrics_update",
        ["self", "data_sources", "sample_uids", "reward_extra_infos_dict"],
    ),
    ("trainer/ppo/v1/trainer_sync.py", "PPOTrainerSync", []),
    ("trainer/ppo/v1/trainer_colocate_async.py", "PPOTrainerColocateAsync", []),
    ("trainer/ppo/v1/trainer_separate_async.py", "PPOTrainerSeparateAsync", []),
    ("trainer/ppo/v1/replay_buffer.py", "ReplayBufferAsync", []),
    (
        "trainer/ppo/v1/replay_buffer.py",
        "ReplayBuffer._terminal_eviction_reasons",
        ["self", "global_steps", "partition_id"],
    ),
    ("experimental/reward_loop/reward_loop.py", "RewardLoopManager.reward_loop_worker_handles", ["self"]),
    ("workers/rollout/llm_server.py", "FullyAsyncLLMServerClient.generate", ["self", "sampling_params"]),
    ("trainer/ppo/v1/replay_buffer.py", "ReplayBuffer.__init__", ["self", "poll_interval"]),
    ("trainer/ppo/v1/agent_loop_tq.py", "AgentLoopWorkerTQ", []),
    ("trainer/ppo/v1/agent_loop_tq.py", "AgentLoopManagerTQ.__init__", ["self"]),
    (
        "experimental/agent_loop/agent_loop.py",
        "AgentLoopWorker._compute_multi_modal_inputs",
        ["self", "output", "input_ids"],
    ),
    ("experimental/agent_loop/agent_loop.py", "AgentLoopBase.process_multi_modal_info", ["self", "messages"]),
    (
        "experimental/agent_loop/agent_loop.py",
        "AgentLoopBase.ct_build_initial_tokens",
        ["self", "messages", "mm_inputs_out"],
    ),
    (
        "experimental/agent_loop/single_turn_agent_loop.py",
        "SingleTurnAgentLoop.run",
        ["self", "sampling_params", "priority"],
    ),
    ("experimental/reward_loop/reward_manager/base.py", "RewardManagerBase.__init__", ["self", "config", "tokenizer"]),
    ("experimental/reward_loop/reward_manager/base.py", "RewardManagerBase.run_single", ["self", "data"]),
    ("workers/rollout/replica.py", "RolloutReplica.launch_servers", ["self"]),
    ("workers/rollout/replica.py", "RolloutReplicaRegistry.register", ["cls", "name", "loader"]),
    ("workers/rollout/replica.py", "TokenOutput", []),
    ("workers/rollout/base.py", "_ROLLOUT_REGISTRY", []),
    ("workers/rollout/base.py", "BaseRollout.update_weights", ["self", "weights", "wire_format"]),
    ("workers/rollout/utils.py", "ensure_async_iterator", []),
    ("workers/rollout/utils.py", "get_vision_placeholder_token_ids", []),
    ("workers/config/rollout.py", "AgentLoopConfig", []),
    ("plugin/platform/platform_manager.py", "PlatformRegistry.register", ["cls", "platform"]),
    ("plugin/platform/platform_manager.py", "_current_platform", []),
    ("utils/distributed.py", "initialize_global_process_group_ray", ["timeout_second", "backend"]),
    ("utils/tensordict_utils.py", "maybe_fix_3d_position_ids", ["data"]),
    ("utils/tensordict_utils.py", "nested_tensor_from_tensor_list", ["tensors", "ragged_idx"]),
    ("utils/tensordict_utils.py", "assign_non_tensor", ["tensor_dict"]),
    ("utils/dataset/rl_dataset.py", "collate_fn", ["data_list"]),
    ("utils/model.py", "get_hf_auto_model_class", []),
]


def find(tree: ast.AST, dotted: str) -> ast.AST | None:
    node: ast.AST | None = tree
    for part in dotted.split("."):
        node = next((child for child in ast.iter_child_nodes(node) if name_of(child) == part), None)
        if node is None:
            return None
    return node


def name_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


@pytest.mark.parametrize(("file", "name", "parameters"), SEAMS, ids=[f"{f}:{n}" for f, n, _ in SEAMS])
def test_seam(file: str, name: str, parameters: list[str]):
    assert SPEC is not None and SPEC.origin is not None
    node = find(ast.parse((Path(SPEC.origin).parent / file).read_text()), name)
    assert node is not None, f"verl/{file} no longer defines {name}"
    if parameters:
        arguments = node.args  # type: ignore[attr-defined]
        known = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        assert set(parameters) <= set(known), f"{name} takes {known}"


def test_the_entry_point_group_is_still_read():
    assert SPEC is not None and SPEC.origin is not None
    assert 'group="verl.plugins"' in Path(SPEC.origin).read_text()
