"""Guarded patches of the hosts, one per file; each reports applied or not needed, or refuses. See ``PATCHES.md``."""


class PatchRefused(RuntimeError):
    """The host is not the one a patch was written for; a requested patch never skips silently."""
