"""Prompts in, replies out: the Hugging Face and vLLM engines, their servers, and what collects replies."""
