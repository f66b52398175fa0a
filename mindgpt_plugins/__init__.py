"""MindGPT plugins: the MindGPT-4ov post-training paradigm on unmodified verl and LLaMA-Factory.

Importing this package is cheap (< 0.2 s) and imports no trainer. Start with ``mindgpt --help``.
"""

__version__ = "0.1.0"
