"""``python -m mindgpt_example_stage CONFIG.json``: a line of ``metrics.jsonl`` per line of text, each written once."""

import json
import os
import sys
import time
from pathlib import Path

config = json.loads(Path(sys.argv[1]).read_text())
lines = Path(config["text"]).read_text().splitlines()
metrics = Path("metrics.jsonl")
done = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
with metrics.open("a") as file:
    for step, line in enumerate(lines[len(done) :], start=len(done) + 1):
        time.sleep(config["pause"])
        done.append({"step": step, "total": len(lines), "words": len(line.split()), "process": os.getpid()})
        file.write(json.dumps(done[-1]) + "\n")
        file.flush()
unit = os.environ.get("TALLY_UNIT", "words")
Path("words.json").write_text(json.dumps({"unit": unit, "words": [one["words"] for one in done]}))
