"""Answers held-out prompts with a model and scores the replies: accuracy, pass@k, length, forgetting gate."""
