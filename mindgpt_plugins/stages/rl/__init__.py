"""Stage ``rl``: hybrid reinforcement learning by verl."""
