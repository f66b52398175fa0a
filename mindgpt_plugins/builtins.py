"""Everything we ship that a recipe can name: kind → name → ``module:attribute``, imported only when used."""

BUILTINS: dict[str, dict[str, str]] = {
    "reward": {
        "accuracy": "mindgpt_plugins.rewards.accuracy:accuracy",
        "format": "mindgpt_plugins.rewards.format:answer_format",
        "conciseness": "mindgpt_plugins.rewards.conciseness:conciseness",
        "diversity": "mindgpt_plugins.rewards.diversity:diversity",
    },
    "estimator": {},
    "sampler": {},
    "mixture": {},
    "loss": {},
    "patch": {},
    "teacher": {},
    "allocator": {},
    "gate": {},
    "stage": {},
}
