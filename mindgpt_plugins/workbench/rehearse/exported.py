"""``python -m mindgpt_plugins.workbench.rehearse.exported JOB.json``: load a finished model as a user would.

Prints one JSON object: what loading found, and the replies.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.families import has_vision, load_generator
from mindgpt_plugins.generation.config import EngineSettings
from mindgpt_plugins.generation.engines import make_lazy_engine
from mindgpt_plugins.generation.hf_engine import Prompt


class LoadingJob(EngineSettings):
    """The model to load and what it is asked."""

    question: str
    images: list[Path]


def main(path: Path) -> dict[str, Any]:
    """Load the model of a job, see :func:`mindgpt_plugins.workbench.rehearse.loading.check_model_loads`."""
    told = read_model(path, LoadingJob)
    _, info = load_generator(told.model, output_loading_info=True)
    result: dict[str, Any] = {
        "missing": sorted(set(info["missing_keys"]) - {"lm_head.weight"}),  # tied
        "unexpected": sorted(info["unexpected_keys"]),
        "mismatched": [str(one) for one in info["mismatched_keys"]],
    }
    # The set may have pictures that a model without eyes is trained without.
    images = tuple(told.images) if has_vision(Path(told.model)) else ()
    prompt = Prompt("rehearsal", told.question, images)
    for engine in ("hf", *(["vllm"] if importlib.util.find_spec("vllm") else [])):
        try:
            reply = make_lazy_engine(told.model_copy(update={"engine": engine}))().generate([prompt])[0][0]
            result[engine] = {"tokens": reply.tokens}
        except Exception as error:
            result[engine] = {"error": f"{type(error).__name__}: {error}"}
    return result


if __name__ == "__main__":
    print("LOADED" + json.dumps(main(Path(sys.argv[1]))), flush=True)
