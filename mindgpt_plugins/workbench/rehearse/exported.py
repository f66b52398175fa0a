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
from mindgpt_plugins.generation.config import EngineSettings
from mindgpt_plugins.generation.engines import make_lazy_engine
from mindgpt_plugins.generation.hf_engine import Prompt


class LoadingJob(EngineSettings):
    """The model to load and what it is asked."""

    question: str
    images: list[Path]


def main(path: Path) -> dict[str, Any]:
    """Load the model of a job, see :func:`mindgpt_plugins.workbench.rehearse.loading.check_model_loads`."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    told = read_model(path, LoadingJob)
    sees = hasattr(AutoConfig.from_pretrained(told.model), "vision_config")
    kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    model, info = kind.from_pretrained(told.model, output_loading_info=True)
    result: dict[str, Any] = {
        "missing": sorted(set(info["missing_keys"]) - {"lm_head.weight"}),  # tied
        "unexpected": sorted(info["unexpected_keys"]),
        "mismatched": [str(one) for one in info["mismatched_keys"]],
    }
    prompt = Prompt("rehearsal", told.question, tuple(told.images))
    for engine in ("hf", *(["vllm"] if importlib.util.find_spec("vllm") else [])):
        try:
            if engine == "hf" and not sees:
                result[engine] = {"tokens": _text_only(model, told)}
            else:
                reply = make_lazy_engine(told.model_copy(update={"engine": engine}))().generate([prompt])[0][0]
                result[engine] = {"tokens": reply.tokens}
        except Exception as error:
            result[engine] = {"error": f"{type(error).__name__}: {error}"}
    return result


def _text_only(model: Any, told: LoadingJob) -> int:
    """New tokens of a reply by a model without eyes, which our engine does not serve."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(told.model)
    chat = [{"role": "user", "content": told.question}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = model.generate(**inputs, max_new_tokens=told.max_new_tokens, do_sample=False)
    return int(made.shape[1] - inputs["input_ids"].shape[1])


if __name__ == "__main__":
    print("LOADED" + json.dumps(main(Path(sys.argv[1]))), flush=True)
