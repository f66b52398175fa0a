"""Stage ``preference_pairs``: preference pairs from a model's own replies."""
