"""Small models made from a config, for machines without weights."""
