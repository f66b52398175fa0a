"""What an evaluation says is weak gets more of the next data round (ours)."""
