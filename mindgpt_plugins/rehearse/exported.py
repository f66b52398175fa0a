"""``python -m mindgpt_plugins.rehearse.exported JOB.json``: load a finished model as a user would, and let it answer.

Prints one JSON object: what loading found, and the reply.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from mindgpt_plugins.evaluate.engine import Prompt
from mindgpt_plugins.evaluate.engines import load_once


def main(job: Path) -> dict[str, Any]:
    """Load the model of a job; see :func:`mindgpt_plugins.rehearse.rehearse`."""
    from transformers import AutoModelForImageTextToText

    config = json.loads(job.read_text())
    _, info = AutoModelForImageTextToText.from_pretrained(config["model"], output_loading_info=True)
    tied = {"lm_head.weight"}
    result: dict[str, Any] = {
        "missing": sorted(set(info["missing_keys"]) - tied),
        "unexpected": sorted(info["unexpected_keys"]),
        "mismatched": [str(one) for one in info["mismatched_keys"]],
    }
    prompt = Prompt("rehearsal", config["question"], tuple(Path(image) for image in config["images"]))
    for engine in ("hf", *(["vllm"] if importlib.util.find_spec("vllm") else [])):
        try:
            reply = load_once({**config, "engine": engine})().generate([prompt])[0][0]
            result[engine] = {"reply": reply.text, "tokens": reply.tokens}
        except Exception as error:
            result[engine] = {"error": f"{type(error).__name__}: {error}"}
    return result


if __name__ == "__main__":
    print("LOADED" + json.dumps(main(Path(sys.argv[1]))), flush=True)
