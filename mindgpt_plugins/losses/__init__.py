"""Mixed-data losses; no host import."""
