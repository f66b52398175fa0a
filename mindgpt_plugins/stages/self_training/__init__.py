"""Training data from a model's own replies: rejection sampling and preference pairs."""
