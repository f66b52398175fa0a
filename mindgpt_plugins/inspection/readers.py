"""Who reads a set."""

from __future__ import annotations

from typing import Literal

Reader = Literal["llamafactory", "verl", "rows"]
"""LLaMA-Factory by ``dataset_info.json``; verl, its ``<set>.parquet``; our own stages, ``<set>.jsonl``."""
