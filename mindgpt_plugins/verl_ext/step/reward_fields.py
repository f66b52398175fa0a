"""Names of the fields that travel between the trainer and its workers; imports nothing."""

PREFIX = "reward/"
ERROR, LOG, PID = "mindgpt_error", "mindgpt_log", "mindgpt_pid"

ASKED = "mindgpt_asked"
"""Column of every training prompt: ``n``, replies asked for it; ``step``, replies of the whole step (0: unknown)."""
