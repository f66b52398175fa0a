"""Names of the fields that travel from the reward workers to the trainer; imports nothing."""

PREFIX = "reward/"
ERROR, LOG, PID = "mindgpt_error", "mindgpt_log", "mindgpt_pid"
