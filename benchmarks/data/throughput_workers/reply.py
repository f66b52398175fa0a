"""What the stub says to every client alike: fenced JSON, because data-designer asks for that."""

from typing import Any


def fenced(body: dict[str, Any]) -> str:
    """Ignore the question."""
    return '```json\n{"question": "How many cars are there?", "answer": "Three, and a sign."}\n```'
