"""Public benchmarks through EvalScope: any OpenAI-compatible server, resumable, with a blank-image pass."""
