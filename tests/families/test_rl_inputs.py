"""What verl's own code makes of every family, without Ray: the prompt's ids, the pictures' tensors, a joined batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("verl.trainer.ppo.v1.agent_loop_tq")

from mindgpt_patches import verl_media_batch, verl_processor_call, verl_processors  # noqa: E402
from mindgpt_patches.guard import restore_places  # noqa: E402

from mindgpt_plugins.families import (  # noqa: E402
    FamilyError,
    ModelFamily,
    PixelLimits,
    PromptFeatures,
    find_family,
    load_processor,
)
from mindgpt_plugins.verl_ext.model_support import find_rl_refusal  # noqa: E402

Build = Callable[[str], Path]
PATCHES = (verl_processors, verl_processor_call, verl_media_batch)
QUESTION = "what colour is it?"


@pytest.fixture(scope="module", autouse=True)
def patched() -> Iterator[None]:
    """verl as an ``rl`` stage has it."""
    for one in PATCHES:
        one.apply()
    yield
    for one in PATCHES:
        restore_places(one.places())


@pytest.fixture
def folder(family: str, build: Build) -> Path:
    found = build(family)
    if family == "paligemma":
        assert "paligemma has no chat template" in (find_rl_refusal(found) or "")
        pytest.skip("refused by name")
    assert find_rl_refusal(found) is None
    return found


def load(folder: Path) -> tuple[Any, Any, ModelFamily]:
    """verl's processor (None for a text model) and tokenizer, and our family of the same folder."""
    import verl.utils

    processor, tokenizer = verl.utils.hf_processor(str(folder)), verl.utils.hf_tokenizer(str(folder))
    return processor, tokenizer, find_family(load_processor(str(folder)))


def render_by_verl(folder: Path, messages: list[dict[str, Any]], images: list[Image.Image]) -> list[int]:
    """Ids of verl's own prompt builder."""
    from transformers import AutoConfig
    from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

    processor, tokenizer, _ = load(folder)
    kind = AutoConfig.from_pretrained(folder).model_type
    builder = create_continuous_token_builder(tokenizer, hf_model_type=kind, processor=processor)
    return list(builder.build_initial_tokens(messages, images=images or None))


def open_pictures(pictures: dict[str, Path], *names: str) -> list[Image.Image]:
    return [Image.open(pictures[name]).convert("RGB") for name in names]


def ask(family: ModelFamily, count: int) -> list[dict[str, Any]]:
    parts = [*({"type": "image"} for _ in range(count)), {"type": "text", "text": QUESTION}]
    return [{"role": "user", "content": family.lay_out_content(parts)}]


@pytest.mark.parametrize("names", [("small",), ("large",), ("large", "small"), ()])
def test_verl_asks_with_the_ids_that_every_stage_asks_with(
    folder: Path, pictures: dict[str, Path], names: tuple[str, ...]
) -> None:
    _, tokenizer, own = load(folder)
    images = open_pictures(pictures, *names) if own.sees else []
    messages = ask(own, len(images))
    ids = render_by_verl(folder, messages, images)
    assert ids == list(own.encode([own.render_chat(messages)], [images])["input_ids"][0])
    if tokenizer.bos_token_id is not None:
        assert ids.count(tokenizer.bos_token_id) == 1


class Recorder:
    """Stands in for verl's client of the rollout servers."""

    async def generate(self, **request: Any) -> Any:
        self.asked = request


def prepare(folder: Path, messages: list[dict[str, Any]], backend: str, asked: dict[str, Any]) -> SimpleNamespace:
    """What our agent loop makes of a row of verl's data set."""
    from transformers import AutoConfig
    from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

    from mindgpt_plugins.verl_ext.agent_loop import SeededSingleTurnAgentLoop, Shared
    from mindgpt_plugins.verl_ext.pictures import KEY, FittedDataset

    async def run() -> SimpleNamespace:
        loop = object.__new__(SeededSingleTurnAgentLoop)
        loop.processor, loop.tokenizer, _ = load(folder)
        loop.rollout_config = SimpleNamespace(name=backend, prompt_length=4096)
        loop.apply_chat_template_kwargs, loop.data_config, loop.dataset_cls = {}, {KEY: asked}, FittedDataset
        loop.uid, loop.shared, loop.loop = "s1p0", Shared(), asyncio.get_running_loop()
        loop.server_manager = client = Recorder()
        kind = AutoConfig.from_pretrained(folder).model_type
        loop.continuous_token_builder = create_continuous_token_builder(
            loop.tokenizer, hf_model_type=kind, processor=loop.processor
        )
        media = await loop.process_multi_modal_info(messages)
        ids = await loop.ct_build_initial_tokens(messages, images=media.get("images"))
        await loop.server_manager.generate(prompt_ids=ids, image_data=media.get("images"))
        return SimpleNamespace(ids=ids, images=media.get("images") or [], asked=client.asked)

    return asyncio.run(run())


@pytest.mark.parametrize("backend", ["hf_cpu", "vllm"])
def test_our_agent_loop_shows_the_pictures_of_training_and_lets_vllm_put_them_in(
    folder: Path, pictures: dict[str, Path], backend: str
) -> None:
    own = load(folder)[2]
    names = ("large", "small") if own.sees else ()
    parts = [*({"type": "image", "image": Image.open(pictures[n])} for n in names), {"type": "text", "text": QUESTION}]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts if names else QUESTION}]
    if folder.name in ("llava_next", "mistral3"):  # their templates here know no system turn
        turns = turns[1:]
    limits = {"min_pixels": 1024, "max_pixels": 9216}
    got = prepare(folder, turns, backend, {**limits, "by_area": own.by_area})
    fitted = [own.fit_picture(Image.open(pictures[name]), PixelLimits(**limits)) for name in names]
    assert [image.tobytes() for image in got.images] == [image.tobytes() for image in fitted]
    text = own.render_chat(turns)
    ids = torch.as_tensor(own.encode([text], [fitted])["input_ids"][0]).tolist()
    assert got.ids == ids
    if backend == "vllm" and names and "Qwen2VL" not in type(own.processor.image_processor).__name__:
        short = own.tokenizer(text, add_special_tokens=own.adds_special_tokens(text))["input_ids"]
        assert got.asked["prompt_ids"] == short and len(short) < len(ids)
    else:
        assert got.asked["prompt_ids"] == ids  # verl's own way


def test_a_text_turn_reaches_templates_that_read_parts_only(build: Build) -> None:
    own = load(build("gemma3"))[2]
    assert own.lay_out_content(QUESTION) == [{"type": "text", "text": QUESTION}]
    assert load(build("llama"))[2].lay_out_content(QUESTION) == QUESTION


def worker(folder: Path) -> Any:
    """Our agent-loop worker without Ray and without a model's weights."""
    from verl.utils.tokenizer import hf_processor

    from mindgpt_plugins.verl_ext.agent_manager import SharedInputsWorker

    made = object.__new__(SharedInputsWorker)
    made.processor = hf_processor(str(folder))
    made.take_features()
    return made


def test_inputs_of_prompt_and_reply_are_those_of_the_processor(folder: Path, pictures: dict[str, Path]) -> None:
    """Token types are of each reply's own ids, the pictures' tensors of the pictures, also out of the cache."""
    own = load(folder)[2]
    if not own.sees:
        assert worker(folder)._features is None
        return
    images = open_pictures(pictures, "large", "small")
    made, reply = worker(folder), "red green blue"
    for question in (QUESTION, "how many? " * 5):
        parts = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": question}]
        turns = [{"role": "user", "content": parts}]
        prompt = own.render_chat(turns)
        want = own.encode([prompt + reply], [images], return_tensors="pt")
        ids = want.pop("input_ids")
        want.pop("attention_mask")
        got = made._compute_multi_modal_inputs(SimpleNamespace(multi_modal_data={"images": images}), ids[0])
        assert got.pop("images_seqlens", None) is not None or "image_grid_thw" not in want
        assert got.keys() == want.keys()
        for name, value in want.items():
            assert torch.equal(got[name], value), name


def test_rows_are_joined_as_the_processor_joins_them(folder: Path, pictures: dict[str, Path]) -> None:
    """What the model answers to rows joined by the engine is what it answers to each alone."""
    import verl.workers.engine.fsdp.transformer_impl as engine
    from transformers import AutoConfig
    from verl.utils.model import get_hf_auto_model_class

    own = load(folder)[2]
    if not own.sees:
        return
    features = PromptFeatures(own)
    config = AutoConfig.from_pretrained(folder)
    model = get_hf_auto_model_class(config).from_pretrained(folder).eval()
    rows, alone = [], []
    for names in (("small",), ("large",), ("large", "small"), ()):
        images = open_pictures(pictures, *names)
        text = own.render_chat(ask(own, len(images)))
        ids = torch.as_tensor(own.encode([text], [images])["input_ids"][0])
        rows.append((ids, features.encode_pictures(images) | features.mark_tokens(ids[None])))
    longest = max(len(ids) for ids, _ in rows)
    pad = own.tokenizer.pad_token_id
    ids = torch.stack([torch.nn.functional.pad(one, [0, longest - len(one)], value=pad) for one, _ in rows])
    mask = torch.stack([torch.arange(longest) < len(one) for one, _ in rows]).long()
    joined = engine.extract_multi_modal_inputs([features for _, features in rows])
    with torch.no_grad():
        together = model(input_ids=ids, attention_mask=mask, **joined).logits
        for one, inputs in rows:
            alone.append(model(input_ids=one[None], attention_mask=torch.ones_like(one[None]), **inputs).logits[0])
    for i, want in enumerate(alone):
        assert torch.allclose(together[i, : len(want)], want, atol=2e-4), i


def test_an_output_of_text_and_picture_together_is_refused_by_name() -> None:
    class Crossing:
        image_processor = SimpleNamespace()
        tokenizer = SimpleNamespace(bos_token=None)
        chat_template = "x"

        def apply_chat_template(self, turns: Any, **options: Any) -> str:
            return str(turns[0]["content"][-1]["text"])

        def __call__(self, text: list[str], **options: Any) -> dict[str, Any]:
            ids = torch.arange(len(text[0]))[None]
            return {"input_ids": ids, "cross_attention_mask": ids[..., None].repeat(1, 1, 2)}

    with pytest.raises(FamilyError, match="Crossing writes cross_attention_mask .* of text and picture together"):
        PromptFeatures(find_family(Crossing()))
