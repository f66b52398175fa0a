"""Curriculum samplers and mixtures: pure Python, no host import, seedable, resumable."""
