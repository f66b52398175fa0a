"""``template: own``: what the host trains is what the engine asks, token by token, for every family."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("llamafactory")

from mindgpt_plugins.families import FamilyError, PixelLimits, find_family, load_generator, load_processor  # noqa: E402
from mindgpt_plugins.generation.hf_engine import Engine, Prompt  # noqa: E402
from mindgpt_plugins.llamafactory_ext.own_template import OwnTemplateError, register_own_template  # noqa: E402

Build = Callable[[str], Path]
LIMITS = PixelLimits(1024, 9216)
ROW = [{"role": "user", "content": "<image>what colour is it?"}, {"role": "assistant", "content": "answer: red"}]


def make_host(folder: Path, thinking: Any = "off") -> tuple[Any, Any, Any]:
    """The host's own tokenizer, processor and template."""
    from llamafactory.data.template import TEMPLATES

    register_own_template(thinking)
    processor = load_processor(str(folder))
    tokenizer = getattr(processor, "tokenizer", processor)
    seeing = processor if processor is not tokenizer else None
    if seeing is not None:
        seeing.image_max_pixels, seeing.image_min_pixels = LIMITS.max_pixels, LIMITS.min_pixels
    template = TEMPLATES["own"]
    template.fix_special_tokens(tokenizer)
    return tokenizer, seeing, template


def lacks_template(folder: Path) -> bool:
    """PaliGemma has none, as the real one; then there is nothing to train by, and that is said."""
    if getattr(load_processor(str(folder)), "chat_template", None) is not None:
        return False
    with pytest.raises(FamilyError, match="no chat template"):
        find_family(load_processor(str(folder)))
    return True


def encode(host: tuple[Any, Any, Any], rows: list[dict[str, str]], images: list[str], system: str = "") -> Any:
    tokenizer, processor, template = host
    laid = template.mm_plugin.process_messages(rows, images, [], [], processor)
    assert template.mm_plugin.process_token_ids([], [], images, [], [], tokenizer, processor) == ([], [])
    return template.encode_multiturn(tokenizer, laid, system)


def test_the_prompt_is_what_the_engine_asks(family: str, build: Build, pictures: dict[str, Path]) -> None:
    folder = build(family)
    if lacks_template(folder):
        return
    host = make_host(folder)
    sees = host[1] is not None
    turns = ROW if sees else [{**ROW[0], "content": "what colour is it?"}, ROW[1]]
    images = [pictures["large"]] if sees else []
    ((prompt, reply),) = encode(host, turns, [str(one) for one in images])
    engine = Engine(
        str(folder), min_pixels=LIMITS.min_pixels, max_pixels=LIMITS.max_pixels, device="cpu", thinking="off"
    )
    asked = engine._encode([Prompt("a", "what colour is it?", tuple(images))])["input_ids"][0].tolist()
    assert prompt == asked
    text = engine.tokenizer.decode(reply)
    assert text.startswith("answer: red") and reply[-1] in {*engine.eos, engine.tokenizer.eos_token_id}
    assert engine.tokenizer.decode(reply[:-1], skip_special_tokens=True).strip() == "answer: red"


def test_a_batch_of_the_host_is_one_that_the_model_takes(family: str, build: Build, pictures: dict[str, Path]) -> None:
    """Rows with one picture, with two and with none, through LLaMA-Factory's own collator and the model."""
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask

    folder = build(family)
    if lacks_template(folder):
        return
    host = make_host(folder)
    tokenizer, processor, template = host
    model = load_generator(str(folder))
    shapes = [[], ["small"], ["large", "small"]] if processor is not None else [[], []]
    features = []
    for names in shapes:
        images = [str(pictures[name]) for name in names]
        turns = [{"role": "user", "content": "<image>" * len(images) + "what colour is it?"}, ROW[1]]
        ((prompt, reply),) = encode(host, turns, images)
        ids = prompt + reply
        labels = [-100] * len(prompt) + reply
        features.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels, "images": images})
    collate = SFTDataCollatorWith4DAttentionMask(
        template=template, model=model, pad_to_multiple_of=None, label_pad_token_id=-100, tokenizer=tokenizer,
        processor=processor,
    )  # fmt: skip
    batch = collate(features)
    with torch.no_grad():
        model.train()
        loss = model(**{key: value for key, value in batch.items() if key != "rope_deltas"}).loss
    assert torch.isfinite(loss)


def test_a_history_is_learned_where_the_prompt_holds_it(build: Build, pictures: dict[str, Path]) -> None:
    folder = build("qwen2_5_vl")
    host = make_host(folder)
    again = [*ROW, {"role": "user", "content": "how many?"}, {"role": "assistant", "content": "answer: 12"}]
    pairs = encode(host, again, [str(pictures["small"])], system="You are a helpful assistant.")
    assert [host[0].decode(reply) for _, reply in pairs] == ["answer: red<|im_end|>", "answer: 12<|im_end|>"]
    family = find_family(host[1])
    text = host[0].decode([token for pair in pairs for side in pair for token in side])
    assert text.count("<|im_start|>system") == 1 and text.endswith("answer: 12<|im_end|>")
    assert family.sees


def test_a_turn_ends_as_the_model_ends_it_whatever_the_reply(build: Build) -> None:
    host = make_host(build("gemma3"))
    for said in ("", "red", "<think>\n a  \n</think>\n\nred"):
        turns = [{"role": "user", "content": "what?"}, {"role": "assistant", "content": said}]
        ((_, reply),) = encode(host, turns, [])
        assert host[0].convert_ids_to_tokens(reply[-1]) == "<end_of_turn>"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, None),
        ({"tools": '[{"name": "zoom"}]'}, "name a template for tools"),
        ({"videos": ["a.mp4"]}, "name a template for tools, videos"),
    ],
)
def test_rows_of_other_shapes_are_told_before_training(
    more: dict[str, Any], why: str | None, build: Build, tmp_path: Path
) -> None:
    from mindgpt_plugins.llamafactory_ext.template_check import check_template

    rows = [{"messages": ROW, "images": ["a.png"]}, {"messages": ROW, "images": ["a.png"], **more}]
    columns = {name: name for name in ("messages", "images", *more)}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {"file_name": "set.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": entry}))
    (tmp_path / "set.json").write_text(json.dumps(rows))
    found = check_template(str(build("gemma3")), "own", tmp_path, "set")
    assert (found.fault is None) is (why is None)
    if why is not None:
        assert "cannot lay out row 1" in found.describe("m") and why in found.describe("m")


def test_what_it_cannot_lay_out_is_refused(build: Build) -> None:
    host = make_host(build("qwen3_5"), thinking="model")
    plain = [{"role": "user", "content": "what?"}, {"role": "assistant", "content": "red"}]
    with pytest.raises(OwnTemplateError, match="a reply has none; set thinking: off"):
        encode(host, plain, [])
    thought = [plain[0], {"role": "assistant", "content": "<think>\nI see.\n</think>\n\nred"}]
    ((prompt, reply),) = encode(host, thought, [])
    assert host[0].decode(prompt).endswith("<think>\n") and host[0].decode(reply).startswith("I see.\n</think>\n\nred")
    with pytest.raises(OwnTemplateError, match="name a template for videos"):
        host[2].mm_plugin.process_messages(plain, [], ["a.mp4"], [], host[1])
    with pytest.raises(OwnTemplateError, match="1 tags <image> and 0 pictures"):
        encode(host, ROW, [])
    with pytest.raises(OwnTemplateError, match="does not lay out tools"):
        host[2].encode_multiturn(host[0], host[2].mm_plugin.process_messages(plain, [], [], [], host[1]), "", "[]x")
