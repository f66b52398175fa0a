"""How ``rl`` is rehearsed: two steps of few prompts with the user's rewards, advantage and group size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgpt_patches import catalog

from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.rehearsal import (
    STUB,
    Draft,
    Finding,
    Learning,
    NamedSet,
    RecipeDifference,
    RehearsalRules,
    Room,
    move_endpoint,
)
from mindgpt_plugins.stages.rl import evidence
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.evidence import SPREAD
from mindgpt_plugins.stages.rl.hydra_overrides import flatten_keys

STEPS = 2
_SPREAD = (
    "that the recipe's own rewards move the weights: random replies are all wrong, so a reward of the rehearsal that "
    "differs between them is added and gives the update something to push"
)
_SPREAD_MODULE = "mindgpt_plugins.stages.rl.rehearsed"
_GROUP, _MICRO, _TOKENS = 8, 4, 16
_ENGINE = "actor_rollout_ref.rollout."
_GPU: dict[str, str] = {
    f"{_ENGINE}tensor_model_parallel_size": "tensor parallelism of the rollout server",
    f"{_ENGINE}data_parallel_size": "data parallelism of the rollout server",
    f"{_ENGINE}gpu_memory_utilization": "memory of the rollout server",
    f"{_ENGINE}nnodes": "rollouts on nodes of their own",
    f"{_ENGINE}n_gpus_per_node": "rollouts on GPUs of their own",
    f"{_ENGINE}checkpoint_engine": "weight transfer over NCCL",
    f"{_ENGINE}engine_kwargs": "the rollout engine's own options",
    f"{_ENGINE}max_num_batched_tokens": "batching of the rollout server",
    f"{_ENGINE}max_model_len": "length limit of the rollout server",
    f"{_ENGINE}max_num_seqs": "batching of the rollout server",
    f"{_ENGINE}enforce_eager": "CUDA graphs",
    f"{_ENGINE}free_cache_engine": "memory of the rollout server",
    f"{_ENGINE}enable_chunked_prefill": "batching of the rollout server",
    f"{_ENGINE}load_format": "how the rollout server reads weights",
    f"{_ENGINE}agent.num_workers": "many agent processes",
    "trainer.nnodes": "several nodes",
    "trainer.n_gpus_per_node": "GPUs of a node",
    "actor_rollout_ref.model.use_fused_kernels": "verl's fused kernels",
    "actor_rollout_ref.model.override_config.attn_implementation": "the attention kernel",
    "actor_rollout_ref.actor.strategy": "sharding",
    "actor_rollout_ref.actor.fsdp_config": "sharding and offload",
    "actor_rollout_ref.ref.fsdp_config": "sharding and offload",
    "actor_rollout_ref.actor.megatron": "Megatron",
    "actor_rollout_ref.ref.megatron": "Megatron",
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size": "sequence parallelism",
    "actor_rollout_ref.actor.use_torch_compile": "compiled graphs",
}
_OURS = (
    "data.train_max_samples", "data.val_max_samples", "trainer.save_freq", "trainer.test_freq", "trainer.logger",
    "trainer.total_epochs", "trainer.max_actor_ckpt_to_keep", "trainer.val_before_train",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu", "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu", "data.dataloader_num_workers",
)  # fmt: skip
"""Sizes and reporting, which the rehearsal sets."""


class RLRehearsal(RehearsalRules[RLConfig]):
    """Rollouts by Hugging Face, on at most two ranks."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """Two steps that go through every row of the sets, and a reward that varies beside the user's own."""
        _move_judges(draft, room.server)
        train = draft.get("train")
        rows = sum(map(room.rows, [train] if isinstance(train, str) else train))
        draft.set("steps", STEPS)
        draft.set("save_every", 1)
        workers = draft.get("workers")
        few = min(2, workers)
        if few < workers:
            draft.set("workers", few, "gpu only", f"{workers} ranks and their memory; {few} over gloo are proven")
        draft.most("group_size", _GROUP)
        for difficulty, size in dict(draft.get("group_size_by_difficulty") or {}).items():
            draft.set(
                "group_size_by_difficulty", {**draft.get("group_size_by_difficulty"), difficulty: min(size, _GROUP)}
            )
        group = draft.get("group_size")
        prompts = max(1, rows // STEPS)
        prompts += prompts * group % few
        draft.set("prompts_per_step", prompts)
        replies = prompts * group // few
        draft.set("micro_batch", max(d for d in range(1, min(_MICRO, replies) + 1) if replies % d == 0))
        draft.most("advantage.k", max(1, draft.get("group_size") - 1))
        draft.most("max_response_tokens", _TOKENS)
        draft.plugins.append(_SPREAD_MODULE)
        draft.set(f"rewards.{SPREAD}", {"weight": 0.1}, "stand-in", _SPREAD)
        _hardware(draft)
        _passed_through(draft)
        # Two steps shall see every row that was chosen, so the set is bounded here when a stage made it.
        draft.settings["verl"]["data.train_max_samples"] = prompts * STEPS

    def asks_server(self, config: RLConfig) -> bool:
        """Any reward that has endpoints."""
        return any(one.options.get("endpoints") for one in config.rewards.values())

    def find_column_problems(self, config: RLConfig, context: Context, sets: list[NamedSet]) -> list[str]:
        """Columns of the parquet files."""
        return [
            f"dataset {one.reference!r}: {line}"
            for one in sets
            for line in find_parquet_problems(one.folder / f"{one.name}.parquet")
        ]

    def try_set(self, config: RLConfig, stage: str, chosen: NamedSet) -> list[Finding]:
        """Rewards on the set's own answers."""
        return evidence.check_gold_answers(stage, config, chosen.folder, [chosen.name])

    def measure_progress(self, config: RLConfig, folder: Path) -> int:
        """Steps with a checkpoint and a dump of their rollouts."""
        try:
            step = int((folder / "checkpoints" / "latest_checkpointed_iteration.txt").read_text())
        except (FileNotFoundError, ValueError):
            return 0
        # verl dumps a step's rollouts after its checkpoint and never again: killed in between, they'd not be judged.
        return step if (folder / "rollouts" / f"{step}.jsonl").is_file() else step - 1

    def list_saved(self, config: RLConfig, folder: Path, step: int) -> Iterable[Path]:
        """Every dump so far, and where the data loader stands."""
        rollouts = [folder / "rollouts" / f"{number}.jsonl" for number in range(1, step + 1)]
        return [*rollouts, folder / "checkpoints" / f"global_step_{step}" / "data.pt"]

    def learning(self, config: RLConfig) -> Learning:
        """The actor's loss and gradient norm; verl's LoRA leaves the vision tower alone."""
        still = (config.verl or {}).get("actor_rollout_ref.actor.freeze_vision_tower") or config.lora is not None
        patches = catalog.resolve_modes(config.patches, "rl")
        frozen = frozenset({"vision"} if still else ())
        return Learning("actor/loss", "actor/grad_norm", config.model, config.lr, frozen, patches)

    def judge_run(self, config: RLConfig, stage: str, folder: Path) -> list[Finding]:
        """Reward components of the dumped rollouts."""
        return evidence.check_rollouts(stage, folder)


def _hardware(draft: Draft) -> None:
    if draft.get("rollout") != "hf_cpu":
        draft.set("rollout", "hf_cpu", "gpu only", "vLLM rollouts and their weight updates; Hugging Face's are proven")
    draft.set("vllm", _EMPTY_VLLM, "gpu only", "vLLM's parallelism and options")
    if draft.get("parallel"):
        draft.set("parallel", {}, "gpu only", "sequence, tensor, pipeline and expert parallelism of the trainer")
    if draft.get("strategy") != "fsdp2":
        draft.set("strategy", "fsdp2", "gpu only", "Megatron; FSDP2 is proven")
    if draft.get("mode") == "separate_async":
        draft.set("mode", "colocate_async", "gpu only", "rollouts on GPUs of their own; colocate_async is proven")
    if draft.get("preset") == "moe" and draft.get("routing_replay") != "off":
        draft.set("routing_replay", "off", "gpu only", "replay of the experts' routing (Megatron only)")


_EMPTY_VLLM: dict[str, Any] = {"tensor_parallel": 1, "gpu_memory_utilization": None, "options": {}}


def _passed_through(draft: Draft) -> None:
    kept = {}
    for key, value in flatten_keys(draft.get("verl") or {}).items():
        plain = key.lstrip("+")
        gpu = next((means for k, means in _GPU.items() if plain == k or plain.startswith(k + ".")), None)
        if gpu is not None:
            draft.changes.append(RecipeDifference(draft.name, f"verl.{plain}", value, None, "gpu only", gpu))
        elif not any(plain == k or plain.startswith(k + ".") for k in _OURS):
            kept[key] = value
    draft.settings["verl"] = kept


def _move_judges(draft: Draft, server: str | None) -> None:
    """Rewards that ask a server get the rehearsal's."""
    if server is None:
        return
    for name, one in draft.get("rewards").items():
        servers = one["options"].get("endpoints")
        if servers:
            moved = [move_endpoint(dict(each), server) for each in servers]
            draft.set(f"rewards.{name}.options.endpoints", moved, "stand-in", STUB)


def find_parquet_problems(path: Path) -> list[str]:
    """Columns that verl or our rewards need and a parquet lacks."""
    from pyarrow import parquet, types

    if not path.is_file():
        return [f"{path} does not exist; an rl stage reads parquet in verl's layout (mindgpt_data.export.write_set)"]
    schema = parquet.read_schema(path)
    problems = []
    for name, inner in (
        ("prompt", ()),
        ("data_source", ()),
        ("reward_model", ("ground_truth",)),
        ("extra_info", ("uid",)),
    ):
        if name not in schema.names:
            problems.append(f"{path} has no column {name!r}; it has: {', '.join(schema.names)}")
            continue
        kind = schema.field(name).type
        known = [field.name for field in kind] if types.is_struct(kind) else []
        problems += [f"{path}: column {name!r} has no field {one!r}" for one in inner if one not in known]
    return problems
