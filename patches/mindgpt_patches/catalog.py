"""What a recipe's ``patches:`` can name, in which stages, and what ``auto`` means. Imports neither torch nor a host."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mindgpt_patches import PatchOutcome, PatchRefused, records
from mindgpt_patches.guard import run_after_import

Mode = Literal["auto", "on", "off"]
Auto = Literal["always", "accelerator", "large", "never"]
AUTO: dict[Auto, str] = {
    "always": "on",
    "accelerator": "on with an accelerator",
    "large": "on where a micro-batch's logits would take 1 GiB or more",
    "never": "off",
}
"""What ``auto`` does, in words."""
_VISION = "transformers.models.qwen3_vl.modeling_qwen3_vl"


@dataclass(frozen=True)
class Entry:
    """One patch.

    Attributes:
        stages: stage kinds it can act in.
        auto: when ``auto`` applies it. What changes the last digits of a CPU run is never ``always``.
        what: in a few words.
        target: host module it changes; empty: the trainer uses it, because it needs the model.
    """

    stages: tuple[str, ...]
    auto: Auto
    what: str
    target: str = ""


_ALL = ("sft", "dpo", "rl")
CATALOG: dict[str, Entry] = {
    "linear_cross_entropy": Entry(("sft", "dpo"), "large", "loss and log-probabilities without a tensor of logits"),
    "liger_qwen3_vl": Entry(
        ("sft", "dpo"), "accelerator", "Liger's norms, rotary embeddings and SwiGLU, where it is installed", _VISION
    ),
    "patch_embed_linear": Entry(_ALL, "accelerator", "patch embedding as one matrix product", _VISION),
    "pos_embed_cache": Entry(_ALL, "never", "position embeddings without Python lists", _VISION),
    "processor_typed_dict": Entry(
        _ALL, "always", "processors do not rebuild their schema per call", "transformers.processing_utils"
    ),
    "vision_dedup": Entry(("dpo", "rl"), "accelerator", "a picture shared by several replies is encoded once", _VISION),
    "verl_equal_length": Entry(
        ("rl",), "always", "batches of equal lengths do not crash verl", "verl.utils.tensordict_utils"
    ),
    "verl_linear_log_probs": Entry(
        ("rl",), "accelerator", "verl's fused kernels sum dW in float32", "verl.utils.experimental.torch_functional"
    ),
    "verl_media_batch": Entry(
        ("rl",),
        "always",
        "rows whose pictures have other shapes are joined",
        "verl.workers.engine.fsdp.transformer_impl",
    ),
    "verl_meta_init": Entry(
        ("rl",), "always", "ranks of a model with untied embeddings can be built", "verl.utils.fsdp_utils"
    ),
    "verl_processors": Entry(("rl",), "always", "processors that verl does not know reach it", "verl.utils"),
    "verl_processor_call": Entry(
        ("rl",), "always", "prompts with pictures begin once, and their pictures stay together", "verl.utils"
    ),
    "verl_shared_keys": Entry(
        ("rl",), "always", "layers that share keys and values can be sharded", "verl.utils.fsdp_utils"
    ),
    "verl_tiled_mlp": Entry(
        ("rl",), "always", "verl's option model.tiled_mlp acts", "verl.workers.engine.fsdp.transformer_impl"
    ),
    "verl_vision_tables": Entry(
        ("rl",), "always", "vision towers that read an embedding's weight can be sharded", "verl.utils.fsdp_utils"
    ),
}


class PatchesError(ValueError):
    """The ``patches:`` of a recipe names something that is not there."""


def resolve_modes(given: Mapping[str, Mode], stage: str) -> dict[str, Mode]:
    """Every patch of a stage kind with its mode; those not given are ``auto``.

    Raises:
        PatchesError: an unknown patch, or one that does nothing in this kind of stage.
    """
    known = [name for name, entry in CATALOG.items() if stage in entry.stages]
    for name in given:
        if name not in known:
            where = f"acts in {', '.join(CATALOG[name].stages)} stages only" if name in CATALOG else "is unknown"
            raise PatchesError(f"patches: {name!r} {where}; here: {', '.join(known)}. See `mindgpt list patches`")
    return {name: given.get(name, "auto") for name in known}


def apply(wanted: Mapping[str, Mode], *, accelerator: bool) -> list[PatchOutcome]:
    """Apply those that change a host, in this process.

    Args:
        wanted: from :func:`resolve_modes`.
        accelerator: whether this run computes on one.

    Returns:
        What came of each. One that ``auto`` would apply and that refuses is recorded, and the host left as it is.

    Raises:
        PatchRefused: one that is ``on`` refuses.
    """
    return [apply_patch(name, mode, accelerator=accelerator) for name, mode in wanted.items() if CATALOG[name].target]


def apply_patch(name: str, mode: Mode, *, accelerator: bool) -> PatchOutcome:
    """Apply one patch, with its certificate; see :func:`apply`."""
    auto = CATALOG[name].auto
    if mode == "off":
        return PatchOutcome(name, "off", "patches: off")
    if mode == "auto" and (auto == "never" or (auto == "accelerator" and not accelerator)):
        return PatchOutcome(name, "not needed", f"auto: {AUTO[auto]}")
    module = importlib.import_module(f"mindgpt_patches.{name}")
    try:
        state, _, reason = str(module.apply()).partition(": ")
        if state == "not needed":
            if mode == "on":
                raise PatchRefused(reason)
            return PatchOutcome(name, "not needed", reason)
        certify = getattr(module, "certify", None)
        return PatchOutcome(name, "applied", reason, certify() if certify is not None else None)
    except PatchRefused as error:
        if mode == "on":
            raise PatchRefused(f"patch {name}: {error}. Set patches: {{{name}: off}}") from error
        return PatchOutcome(name, "refused", str(error))


def confirm_outcomes(outcomes: Sequence[PatchOutcome], wanted: Mapping[str, Mode], model: Any) -> list[PatchOutcome]:
    """Outcomes with how many modules of a model are replaced, for the patches that can count them (``replaced``).

    Args:
        outcomes: so far.
        wanted: modes; those not given are ``auto``.
        model: that is about to be trained.

    Raises:
        PatchRefused: one that is ``on`` replaces nothing in this model.
    """
    found = []
    for outcome in outcomes:
        count = getattr(sys.modules.get(f"mindgpt_patches.{outcome.name}"), "replaced", None)
        if outcome.state == "applied" and count is not None:
            try:
                modules = ", ".join(f"{number} {kind}" for kind, number in count(model).items())
                outcome = replace(outcome, reason=f"{outcome.reason}; {modules}")
            except PatchRefused as error:
                if wanted.get(outcome.name) == "on":
                    raise PatchRefused(
                        f"patch {outcome.name}: {error}. Set patches: {{{outcome.name}: off}}"
                    ) from error
                outcome = PatchOutcome(outcome.name, "refused", str(error))
        found.append(outcome)
    return found


def render_modes(wanted: Mapping[str, Mode]) -> str:
    """For ``MINDGPT_PATCHES``, see :func:`apply_from_environment`."""
    return ",".join(f"{name}={mode}" for name, mode in wanted.items())


def apply_from_environment() -> None:
    """Apply what ``MINDGPT_PATCHES`` (``name=mode,…``) asks for, each when its target is imported.

    Outcomes go to ``patches.json`` in ``MINDGPT_PATCH_RECORDS``, if set. A refusal of one that is ``on`` ends the
    process: hosts swallow what an import raises.
    """
    for item in filter(None, os.environ.get("MINDGPT_PATCHES", "").split(",")):
        name, _, mode = item.strip().partition("=")
        if name not in CATALOG or not CATALOG[name].target:
            raise PatchesError(f"MINDGPT_PATCHES: there is no patch {name!r} of a host. See `mindgpt list patches`")
        run_after_import(CATALOG[name].target, lambda name=name, mode=mode: _in_host(name, mode or "on"))  # type: ignore[misc]


def _in_host(name: str, mode: Mode) -> None:
    try:
        outcome = apply_patch(name, mode, accelerator=os.environ.get("VERL_PLATFORM", "").strip().lower() != "cpu")
    except PatchRefused as error:
        print(f"mindgpt: error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(str(error)) from error
    folder = os.environ.get("MINDGPT_PATCH_RECORDS")
    if folder:
        records.write_outcomes([outcome], Path(folder))
