"""Accuracy, pass@k and forgetting on held-out sets."""
