"""Serving a run's model with vLLM's own OpenAI server: settings, a smoke request with an image, a small load test."""
