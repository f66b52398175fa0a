"""The labelled lines of the corpus."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "corpus"


def read_corpus() -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(FOLDER.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
