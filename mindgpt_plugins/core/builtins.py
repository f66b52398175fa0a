"""Everything we ship that a recipe can name: kind → name → ``module:attribute``, imported only when used."""

from __future__ import annotations

from collections.abc import Iterable

BUILTINS: dict[str, dict[str, str]] = {
    "reward": {
        "accuracy": "mindgpt_plugins.rewards.accuracy:accuracy",
        "format": "mindgpt_plugins.rewards.format:answer_format",
        "conciseness": "mindgpt_plugins.rewards.conciseness:conciseness",
        "diversity": "mindgpt_plugins.rewards.diversity:diversity",
        "diversity_embedding": "mindgpt_plugins.rewards.diversity_embedding:diversity_embedding",
        "fabrication": "mindgpt_plugins.rewards.fabrication:fabrication",
        "judge": "mindgpt_plugins.rewards.judge:judge",
        "language": "mindgpt_plugins.rewards.language:language",
        "overlong": "mindgpt_plugins.rewards.overlong:overlong",
        "refusal": "mindgpt_plugins.rewards.refusal:refusal",
        "repetition": "mindgpt_plugins.rewards.repetition:repetition",
    },
    "estimator": {
        "annotations": "mindgpt_data.density.annotations:from_truth",
        "pixels": "mindgpt_data.density.pixels:pixels",
        "model-free": "mindgpt_data.density.model_free:model_free",
        "judge": "mindgpt_data.density.judge:judge",
    },
    "advantage": {
        "modulated": "mindgpt_plugins.advantage.estimators:modulated",
        "grpo": "mindgpt_plugins.advantage.estimators:grpo",
        "dr_grpo": "mindgpt_plugins.advantage.estimators:dr_grpo",
        "pass_at_k": "mindgpt_plugins.advantage.estimators:pass_at_k",
        "pass_at_k_analytic": "mindgpt_plugins.advantage.estimators:pass_at_k_analytic",
        "gdpo": "mindgpt_plugins.advantage.estimators:gdpo",
        "reward_sum": "mindgpt_plugins.advantage.estimators:reward_sum",
        "grpo_passk": "mindgpt_plugins.advantage.estimators:grpo_passk",
    },
    "sampler": {
        "shuffled": "mindgpt_plugins.curriculum.shuffled:Shuffled",
        "easy_to_hard": "mindgpt_plugins.curriculum.easy_to_hard:EasyToHard",
        "bucketed": "mindgpt_plugins.curriculum.bucketed:Bucketed",
        "self_paced": "mindgpt_plugins.curriculum.self_paced:SelfPaced",
    },
    "mixture": {
        "fixed": "mindgpt_plugins.curriculum.fixed:Fixed",
        "scheduled": "mindgpt_plugins.curriculum.scheduled:Scheduled",
        "dynamic": "mindgpt_plugins.curriculum.dynamic:Dynamic",
    },
    "loss": {"weighted_ce": "mindgpt_plugins.losses.weighted_ce:WeightedCE"},
    "patch": {
        "cpu_wheels": "mindgpt_patches.cpu.wheels:apply",
        "cpu_verl": "mindgpt_patches.cpu.verl:apply",
        "cpu_vllm": "mindgpt_patches.cpu.vllm:apply",
        "verl_equal_length": "mindgpt_patches.verl_equal_length:apply",
        "verl_linear_log_probs": "mindgpt_patches.verl_linear_log_probs:apply",
        "verl_media_batch": "mindgpt_patches.verl_media_batch:apply",
        "verl_meta_init": "mindgpt_patches.verl_meta_init:apply",
        "verl_processors": "mindgpt_patches.verl_processors:apply",
        "verl_processor_call": "mindgpt_patches.verl_processor_call:apply",
        "verl_shared_keys": "mindgpt_patches.verl_shared_keys:apply",
        "verl_tiled_mlp": "mindgpt_patches.verl_tiled_mlp:apply",
        "verl_vision_tables": "mindgpt_patches.verl_vision_tables:apply",
        "vision_dedup": "mindgpt_patches.vision_dedup:apply",
        "liger_qwen3_vl": "mindgpt_patches.liger_qwen3_vl:apply",
        "patch_embed_linear": "mindgpt_patches.patch_embed_linear:apply",
        "pos_embed_cache": "mindgpt_patches.pos_embed_cache:apply",
        "processor_typed_dict": "mindgpt_patches.processor_typed_dict:apply",
    },
    "teacher": {
        "annotations": "mindgpt_data.teachers.annotations:Annotations",
        "endpoint": "mindgpt_data.teachers.endpoint:Endpoint",
    },
    "allocator": {
        "density": "mindgpt_data.budget.density:density",
        "uniform": "mindgpt_data.budget.uniform:uniform",
        "random": "mindgpt_data.budget.random:random",
    },
    "gate": {
        "rules": "mindgpt_data.gates.rules:rules",
        "judge": "mindgpt_data.gates.judge:judge",
        "agreement": "mindgpt_data.gates.agreement:agreement",
        "necessity": "mindgpt_data.gates.necessity:necessity",
        "duplicates": "mindgpt_data.gates.duplicates:duplicates",
        "decontaminate": "mindgpt_data.gates.decontaminate:decontaminate",
    },
    "stage": {
        "data": "mindgpt_plugins.stages.data.stage:DataStage",
        "world": "mindgpt_plugins.stages.world.stage:WorldStage",
        "model": "mindgpt_plugins.stages.model.stage:ModelStage",
        "rejection_sampling": "mindgpt_plugins.stages.rejection_sampling.stage:RejectionSampling",
        "preference_pairs": "mindgpt_plugins.stages.preference_pairs.stage:PreferencePairs",
        "sft": "mindgpt_plugins.stages.sft.stage:SFTStage",
        "dpo": "mindgpt_plugins.stages.dpo.stage:DPOStage",
        "evaluate": "mindgpt_plugins.stages.evaluate.stage:Evaluate",
        "benchmark": "mindgpt_plugins.stages.benchmark.stage:BenchmarkStage",
        "interpolate": "mindgpt_plugins.stages.interpolate.stage:Interpolate",
        "quantise": "mindgpt_plugins.stages.quantise.stage:Quantise",
        "rl": "mindgpt_plugins.stages.rl.stage:RL",
    },
}


def list_shipped_modules(kinds: Iterable[str]) -> set[str]:
    """Modules of everything that ships under these kinds."""
    return {target.partition(":")[0] for kind in kinds for target in BUILTINS[kind].values()}
