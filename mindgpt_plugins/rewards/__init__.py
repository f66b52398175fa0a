"""Per-sample and group rewards, one per file; no host import."""
