"""Public benchmarks through EvalScope: one harness, any OpenAI-compatible server, resumable, with a blank-image pass."""
