"""The rows and records that every step reads and writes."""
