"""The dual-dimensional label tree: knowledge × capability, levels L1/L2/L3 (structure: the paper's; content: ours)."""
