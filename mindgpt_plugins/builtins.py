"""Everything we ship that a recipe can name: kind → name → ``module:attribute``, imported only when used."""

BUILTINS: dict[str, dict[str, str]] = {
    "reward": {
        "accuracy": "mindgpt_plugins.rewards.accuracy:accuracy",
        "format": "mindgpt_plugins.rewards.format:answer_format",
        "conciseness": "mindgpt_plugins.rewards.conciseness:conciseness",
        "diversity": "mindgpt_plugins.rewards.diversity:diversity",
    },
    "estimator": {
        "modulated": "mindgpt_plugins.advantage.estimators:modulated",
        "grpo": "mindgpt_plugins.advantage.estimators:grpo",
        "dr_grpo": "mindgpt_plugins.advantage.estimators:dr_grpo",
        "pass_at_k": "mindgpt_plugins.advantage.estimators:pass_at_k",
    },
    "sampler": {
        "shuffled": "mindgpt_plugins.curriculum.shuffled:Shuffled",
        "easy_to_hard": "mindgpt_plugins.curriculum.easy_to_hard:EasyToHard",
    },
    "mixture": {"fixed": "mindgpt_plugins.curriculum.fixed:Fixed"},
    "loss": {"weighted_ce": "mindgpt_plugins.losses.weighted_ce:WeightedCE"},
    "patch": {},
    "teacher": {},
    "allocator": {},
    "gate": {},
    "stage": {
        "rejection_sampling": "mindgpt_plugins.pipeline.stages.rejection_sampling:RejectionSampling",
        "preference_pairs": "mindgpt_plugins.pipeline.stages.preference_pairs:PreferencePairs",
        "evaluate": "mindgpt_plugins.pipeline.stages.evaluate:Evaluate",
    },
}
