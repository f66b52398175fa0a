"""Who writes the QA: one teacher per file."""
