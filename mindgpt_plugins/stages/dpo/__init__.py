"""Stage ``dpo``: preference alignment by LLaMA-Factory."""
