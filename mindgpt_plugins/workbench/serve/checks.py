"""What can be told before the server starts: vLLM's version, the model's quantisation, speculative decoding."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import compat
from mindgpt_plugins.generation.vllm_server import ServeError, VllmServerSettings, read_model_config

_CUDA_FORMATS = ("nvfp4", "mxfp4", "mxfp8", "marlin")
_WITHOUT_DRAFT_MODEL = ("ngram", "ngram_gpu", "suffix", "mtp")
_VERSION = """
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        print(version(name))
        break
    except PackageNotFoundError:
        pass
"""


def check_server_settings(settings: VllmServerSettings) -> None:
    """Refuse what vLLM would refuse late, with a riddle, or not at all.

    Raises:
        ServeError: the interpreter has no vLLM or one that was never tried, the model's quantisation has no kernels
            here, or ``--speculative-config`` cannot work.
    """
    config = read_model_config(settings.model)
    quantisation = config.get("quantization_config") or {}
    kind = f"{quantisation.get('quant_method')}, {quantisation.get('format')}"
    host = compat.HOSTS["vllm"]
    found = _version(settings.python, (host.name, *host.also))
    if found is None:
        raise ServeError(
            f"{settings.python} has no vLLM; install it there, or name another one with --python: {host.install}"
        )
    fault = compat.find_version_problem("vllm", found)
    if fault:
        what = f"the model is quantised ({kind}), and in {settings.python} " if quantisation else f"{settings.python}: "
        raise ServeError(f"{what}{fault}; or name another interpreter with --python")
    if settings.cpu and str(quantisation.get("format")).startswith(_CUDA_FORMATS):
        raise ServeError(
            f"{settings.model} is quantised for CUDA ({kind}): vLLM has no kernels for it on CPU. Serve the model it "
            "was made from, or one quantised with fp8_dynamic, int8_w8a8 or w4a16"
        )
    speculative = parse_speculative_config(settings.more)
    if speculative is not None:
        _require_speculation(speculative, config, cpu=settings.cpu)


def parse_speculative_config(arguments: Sequence[str]) -> Mapping[str, Any] | None:
    """The value of ``--speculative-config`` among the arguments for vLLM.

    Raises:
        ServeError: it is not a JSON object.
    """
    name = "--speculative-config"
    after = [value for one, value in zip(arguments, arguments[1:], strict=False) if one == name]
    values = after + [one.partition("=")[2] for one in arguments if one.startswith(f"{name}=")]
    if not values:
        return None
    try:
        found = json.loads(values[-1])
    except json.JSONDecodeError as error:
        raise ServeError(f"{name} {values[-1]!r} is not JSON ({error}); {_EXAMPLE}") from error
    if not isinstance(found, dict):
        raise ServeError(f"{name} {values[-1]!r} is no JSON object; {_EXAMPLE}")
    return found


_EXAMPLE = (
    """for example --speculative-config '{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 3}'"""
)


def _require_speculation(asked: Mapping[str, Any], config: Mapping[str, Any], *, cpu: bool) -> None:
    method, draft = asked.get("method"), asked.get("model")
    tokens = asked.get("num_speculative_tokens")
    if method is None and draft is None:
        raise ServeError(f"--speculative-config names neither a method nor a draft model; {_EXAMPLE}")
    if tokens is None and method in _WITHOUT_DRAFT_MODEL:
        raise ServeError(f"--speculative-config: {method} needs num_speculative_tokens; {_EXAMPLE}")
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise ServeError(f"--speculative-config: num_speculative_tokens is {tokens!r}, not a whole number from 1")
    low, high = asked.get("prompt_lookup_min"), asked.get("prompt_lookup_max")
    if low is not None and high is not None and low > high:
        raise ServeError(f"--speculative-config: prompt_lookup_min {low} is above prompt_lookup_max {high}")
    if method == "ngram_gpu" and cpu:
        raise ServeError("--speculative-config: ngram_gpu needs a GPU; on CPU the method is ngram")
    if draft is None and method not in _WITHOUT_DRAFT_MODEL:
        known = ", ".join(_WITHOUT_DRAFT_MODEL)
        raise ServeError(f"--speculative-config: {method} needs a draft model (key model); without one: {known}")
    if draft is not None and Path(draft).is_absolute():
        _require_same_words(draft, method, config)


def _require_same_words(draft: str, method: str | None, config: Mapping[str, Any]) -> None:
    sizes = [read_vocabulary_size(one) for one in (config, read_model_config(Path(draft)))]
    if method in (None, "draft_model") and None not in sizes and sizes[0] != sizes[1]:
        raise ServeError(
            f"--speculative-config: {draft} has a vocabulary of {sizes[1]}, the served model one of {sizes[0]}; a "
            "draft model must share its tokenizer"
        )


def read_vocabulary_size(config: Mapping[str, Any]) -> int | None:
    """Size of a model's vocabulary."""
    return (config.get("text_config") or {}).get("vocab_size") or config.get("vocab_size")


def _version(python: str, names: Sequence[str]) -> str | None:
    try:
        done = subprocess.run([python, "-c", _VERSION, *names], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServeError(f"--python {python}: {error}") from error
    if done.returncode:
        raise ServeError(f"--python {python} is no working interpreter: {done.stderr.strip()[-300:]}")
    return done.stdout.strip() or None
