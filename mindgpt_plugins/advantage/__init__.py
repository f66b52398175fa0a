"""Advantages from reward components; no host import."""
