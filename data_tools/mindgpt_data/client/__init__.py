"""Everything that talks to a model server: OpenAI-compatible, asynchronous, stored, resumable."""
