"""The only place that imports LLaMA-Factory."""
