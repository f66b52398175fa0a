"""Each family answers through the evaluator and is counted as its own processor counts, by no name of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mindgpt_plugins.families import ModelFamily, PixelLimits, find_family, load_processor
from mindgpt_plugins.generation.hf_engine import Engine, EngineError, Prompt
from mindgpt_plugins.inspection.longest import RowMeter
from mindgpt_plugins.sizing.samples import Sample

Build = Callable[[str], Path]

LIMITS = PixelLimits(1024, 9216)
NO_TEMPLATE = ("paligemma",)
"""Families whose published folders have no chat template."""


def load_engine(folder: Path, **options: Any) -> Engine:
    return Engine(str(folder), max_new_tokens=6, min_pixels=1024, max_pixels=9216, device="cpu", **options)


def test_it_answers_a_batch_of_pictures_of_different_sizes(
    family: str, build: Build, pictures: dict[str, Path]
) -> None:
    if family in NO_TEMPLATE:
        with pytest.raises(EngineError, match=r"paligemma: there is no chat template; save the model's chat_template"):
            load_engine(build(family))
        return
    engine = load_engine(build(family))
    sees = engine.family.sees
    asked = [
        Prompt("a", "what colour is it?", (pictures["small"],) if sees else ()),
        Prompt("b", "name the colour of the picture", (pictures["large"],) if sees else ()),
        Prompt("c", "how many?"),  # text beside pictures
        Prompt("d", "how many?", (pictures["narrow"], pictures["small"]) if sees else ()),
    ]
    assert engine.generate(asked) == [engine.generate([one])[0] for one in asked]
    assert engine.generate(asked, n=2) == [engine.generate([one], n=2)[0] for one in asked]
    bos = engine.tokenizer.bos_token_id
    if bos is not None:
        assert [ids.count(bos) for ids in engine._encode(asked[:2])["input_ids"].tolist()] == [1, 1]
    logits = engine.reply_logits([Prompt(one.key, one.question, one.images, "answer: red") for one in asked])
    assert len({len(one) for one in logits}) == 1 and logits[0].isfinite().any()


def make_samples(pictures: dict[str, Path], sees: bool) -> list[Sample]:
    one, two = ("<image>what colour is it?", "<image>Describe <image>the picture.") if sees else ("how many?",) * 2
    turns = (("user", one), ("assistant", "answer: red"))
    chosen = [("small",), ("large",), ("narrow",)] if sees else [()]
    samples = [Sample(str(names), turns, tuple(pictures[name] for name in names)) for names in chosen]
    pair = (pictures["large"], pictures["small"]) if sees else ()
    return [*samples, Sample("two", (("user", two), ("assistant", "green")), pair)]


def count_by_processor(family: ModelFamily, sample: Sample) -> int:
    """Ids of the processor itself, on the pictures as LLaMA-Factory hands them over."""
    from llamafactory.data.mm_plugin import BasePlugin, Qwen2VLPlugin

    plugin = (Qwen2VLPlugin if family.by_area else BasePlugin)("<image>", "<video>", None)
    given = [Image.open(path) for path in sample.images]
    shown = plugin._regularize_images(given, image_max_pixels=9216, image_min_pixels=1024)["images"]
    messages: list[dict[str, Any]] = []
    for role, text in sample.messages:
        pieces = text.split("<image>")
        parts = [part for piece in pieces[1:] for part in ({"type": "image"}, {"type": "text", "text": piece})]
        if pieces[0]:
            parts.insert(0, {"type": "text", "text": pieces[0]})
        messages.append({"role": role, "content": parts if family.sees else text})
    text = family.processor.apply_chat_template(messages, tokenize=False)
    if not family.sees:
        return len(family.processor(text, add_special_tokens=False)["input_ids"])
    begun = bool(family.tokenizer.bos_token) and text.startswith(family.tokenizer.bos_token)
    return len(family.processor(text=[text], images=[shown], add_special_tokens=not begun)["input_ids"][0])


def test_rows_are_as_long_as_the_processor_makes_them(family: str, build: Build, pictures: dict[str, Path]) -> None:
    folder = build(family)
    if family in NO_TEMPLATE:
        meter = RowMeter(str(folder), LIMITS, with_response=True)
        (fault,) = meter.find_model_faults(make_samples(pictures, True)[0])
        assert fault.kind == "no_chat_template"
        return
    own = find_family(load_processor(str(folder)))
    for sample in make_samples(pictures, own.sees):
        meter = RowMeter(str(folder), LIMITS, with_response=True)
        assert list(meter.find_model_faults(sample)) == []  # a tag is no token, also where it is spelt alike
        meter.add(sample)
        meter.finish()
        assert (sample.place, meter.tokens) == (sample.place, count_by_processor(own, sample))


def test_a_text_model_takes_no_picture(build: Build, pictures: dict[str, Path]) -> None:
    folder = build("llama")
    meter = RowMeter(str(folder), LIMITS, with_response=True)
    sample = Sample("row 0", (("user", "<image>what?"), ("assistant", "red")), (pictures["small"],))
    assert [fault.kind for fault in meter.find_model_faults(sample)] == ["no_vision"]
    with pytest.raises(EngineError, match="prompt a: the prompt has a picture, and the model has no vision part"):
        load_engine(folder).generate([Prompt("a", "what?", (pictures["small"],))])


def test_a_reply_ends_at_every_end_of_the_generation_config(build: Build) -> None:
    engine = load_engine(build("gemma3"))
    ends = engine.tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])
    assert engine.eos == sorted(ends)
    reply = engine._reply([engine.tokenizer.convert_tokens_to_ids("a"), ends[1], ends[0]])
    assert (reply.tokens, reply.finished) == (2, True)
    banned = json.loads((build("gemma3") / "config.json").read_text())["image_token_index"]
    assert banned in engine.banned
