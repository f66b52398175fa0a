"""What makes the embedded CPU default run; nothing here is active on a CUDA machine."""

from pathlib import Path

SITE = Path(__file__).resolve().parent / "site"
"""Folder with the ``sitecustomize`` that goes on ``PYTHONPATH`` of processes we launch on CPU."""
