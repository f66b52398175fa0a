"""Guarded patches of the hosts, one per file; each reports applied, not needed or refused."""
