"""Training data a model makes for itself: rejection sampling and preference pairs."""
