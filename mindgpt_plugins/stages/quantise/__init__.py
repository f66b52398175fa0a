"""Quantisation for inference, thin over llm-compressor, with a quality gate; runs in an interpreter of its own."""
