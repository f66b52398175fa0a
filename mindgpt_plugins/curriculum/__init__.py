"""Curriculum samplers and mixtures; no host import."""
