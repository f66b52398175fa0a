"""What is known of a model before a recipe names it: its family, its tokens, what each kind of stage does with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.families import FamilyError, PixelLimits, Thinking, find_family, has_vision, load_processor
from mindgpt_plugins.families.family import ModelFamily
from mindgpt_plugins.families.soundness import find_model_faults, read_processor_class
from mindgpt_plugins.families.thinking import OPENED
from mindgpt_plugins.stages.sft.host_check import ask_template_choice
from mindgpt_plugins.verl_ext.model_support import VERL_PROCESSORS, find_rl_refusal

MEGAPIXEL = (1024, 1024)
"""Width and height of the picture that is counted."""


@dataclass(frozen=True)
class ModelFact:
    """One line: what, the finding, and ``refused`` where a stage cannot take the model."""

    what: str
    found: str
    refused: bool = False


def list_model_facts(folder: Path, limits: PixelLimits, thinking: Thinking = "model") -> Iterator[ModelFact]:
    """Facts of a local model, the cheap ones first; no weight is loaded.

    Args:
        folder: with ``config.json``, tokenizer and processor.
        limits: of a picture, as a recipe's ``image:`` would have them.
        thinking: as a recipe's ``thinking:`` would be.
    """
    config = read_json(folder / "config.json")
    classes = ", ".join(config.get("architectures") or ["no class named"])
    yield ModelFact("model", f"{config.get('model_type', '?')}: {classes}")
    faults = list(find_model_faults(folder))
    for fault in faults:
        yield ModelFact("fault", fault, refused=True)
    if faults:
        return
    sees = has_vision(folder)
    yield ModelFact("pictures", f"yes, read by {read_processor_class(folder) or 'a processor'}" if sees else "no")
    processor = load_processor(str(folder))
    try:
        family = find_family(processor, thinking)
    except FamilyError as error:
        yield ModelFact("chat template", str(error), refused=True)
        return
    yield from _describe_prompt(family, folder, limits)
    yield from _list_stages(folder, thinking)


def _describe_prompt(family: ModelFamily, folder: Path, limits: PixelLimits) -> Iterator[ModelFact]:
    from PIL import Image

    question: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
    asked = family.render_chat(question)
    on, off = (family.render_chat(question, thinking=one) for one in ("on", "off"))
    opens = "opens a thought" if asked.rstrip().endswith(OPENED) else "opens none"
    problem = family.find_thinking_problem()
    yield ModelFact("chat template", f"{opens}; {'has a switch for thoughts' if on != off else 'has no switch'}")
    if problem:
        yield ModelFact("thinking", problem, refused=True)
    begins = family.tokenizer.bos_token
    once = (
        "none" if not begins else f"{begins}, written by the {'template' if asked.startswith(begins) else 'tokenizer'}"
    )
    yield ModelFact("begin token", once)
    if not family.sees:
        return
    parts = [{"type": "image"}, {"type": "text", "text": "?"}]
    text = family.render_chat([{"role": "user", "content": parts}])
    bare = len(family.tokenizer(asked, add_special_tokens=family.adds_special_tokens(asked))["input_ids"])
    picture = Image.new("RGB", MEGAPIXEL)
    for said, shown in (
        ("as the processor alone has it", picture),
        (f"within {limits.min_pixels:,} to {limits.max_pixels:,} pixels", family.fit_picture(picture, limits)),
    ):
        count = len(family.encode([text], [[shown]])["input_ids"][0]) - bare
        yield ModelFact(f"tokens of {MEGAPIXEL[0]} × {MEGAPIXEL[1]} pixels", f"{count:,} {said}")


def _list_stages(folder: Path, thinking: Thinking) -> Iterator[ModelFact]:
    if compat.find_installed_version("llamafactory") is None:
        yield ModelFact("sft, dpo", "LLaMA-Factory is not installed here, so that its templates are not known")
    else:
        template, why = ask_template_choice(sys.executable, folder, None, thinking)
        said = f"template {template}" if template else why
        if template == "own":
            said += ": no name of LLaMA-Factory's writes the same, so the model's own chat template and processor do"
        yield ModelFact("sft, dpo", said, refused=template is None)
    refusal = find_rl_refusal(folder)
    given = read_processor_class(folder)
    patched = has_vision(folder) and given not in VERL_PROCESSORS
    yield ModelFact(
        "rl", refusal or ("by the patch verl_processors" if patched else "as verl has it"), refused=refusal is not None
    )
    yield ModelFact("evaluate, rejection_sampling, preference_pairs", "by the model's own processor")
