"""Stage ``data``: pictures become training sets, with the same steps as ``mindgpt data run``."""
