"""The mindgpt command: one file per verb."""
