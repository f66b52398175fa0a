"""Everything we ship that a recipe can name: kind → name → ``module:attribute``, imported only when used."""

BUILTINS: dict[str, dict[str, str]] = {
    "reward": {
        "accuracy": "mindgpt_plugins.rewards.accuracy:accuracy",
        "format": "mindgpt_plugins.rewards.format:answer_format",
        "conciseness": "mindgpt_plugins.rewards.conciseness:conciseness",
        "diversity": "mindgpt_plugins.rewards.diversity:diversity",
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
        "verl_equal_length": "mindgpt_patches.verl_equal_length:apply",
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
        "data": "mindgpt_plugins.pipeline.stages.data:DataStage",
        "world": "mindgpt_plugins.pipeline.stages.world:WorldStage",
        "model": "mindgpt_plugins.pipeline.stages.model:ModelStage",
        "rejection_sampling": "mindgpt_plugins.pipeline.stages.rejection_sampling:RejectionSampling",
        "preference_pairs": "mindgpt_plugins.pipeline.stages.preference_pairs:PreferencePairs",
        "sft": "mindgpt_plugins.pipeline.stages.sft:SFTStage",
        "dpo": "mindgpt_plugins.pipeline.stages.dpo:DPOStage",
        "evaluate": "mindgpt_plugins.pipeline.stages.evaluate:Evaluate",
        "interpolate": "mindgpt_plugins.pipeline.stages.interpolate:Interpolate",
        "rl": "mindgpt_plugins.pipeline.stages.rl:RL",
    },
}
