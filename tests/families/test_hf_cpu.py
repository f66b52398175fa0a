"""``hf_cpu``, the rollout backend of machines without vLLM, for every family: pictures, ends, random streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("verl.workers.rollout.replica")

from mindgpt_patches import verl_processors  # noqa: E402
from mindgpt_patches.guard import restore_places  # noqa: E402

from mindgpt_plugins.families import find_family, load_processor  # noqa: E402
from mindgpt_plugins.verl_ext.hf_cpu import HFServer  # noqa: E402

Build = Callable[[str], Path]
LENGTH = 6


@pytest.fixture(scope="module", autouse=True)
def patched() -> Iterator[None]:
    verl_processors.apply()
    yield
    restore_places(verl_processors.places())


def start(folder: Path) -> HFServer:
    server = HFServer(SimpleNamespace(max_num_seqs=64, response_length=LENGTH, seed=0), str(folder), 0)
    server.model = type(server.model).from_pretrained(folder).eval()
    return server


def ask(server: HFServer, requests: list[tuple[list[int], list[Image.Image]]], **params: Any) -> list[Any]:
    """Answers to all of them at once, as a step asks."""

    async def run() -> list[Any]:
        return list(await asyncio.gather(*(server.generate(i, dict(params), "id", p) for i, p in requests)))

    try:
        return asyncio.run(run())
    finally:
        server.queue = server.worker = None


def make_requests(server: HFServer, pictures: dict[str, Path]) -> list[tuple[list[int], list[Image.Image]]]:
    family = server.family
    found = []
    for names in (("small",), ("large", "small"), (), ("large",)):
        images = [Image.open(pictures[name]).convert("RGB") for name in names] if family.sees else []
        parts = [*({"type": "image"} for _ in images), {"type": "text", "text": "how many? " * (1 + len(names))}]
        text = family.render_chat([{"role": "user", "content": parts}])
        found.append((torch.as_tensor(family.encode([text], [images])["input_ids"][0]).tolist(), images))
    return found


def test_replies_are_those_of_the_model_asked_alone(family: str, build: Build, pictures: dict[str, Path]) -> None:
    if family == "paligemma":  # no chat template: refused before verl starts
        return
    server = start(build(family))
    requests = make_requests(server, pictures)
    own = find_family(load_processor(str(build(family))))
    for (ids, images), reply in zip(requests, ask(server, requests, temperature=0.0, seed=1), strict=True):
        inputs: dict[str, Any] = {"input_ids": torch.tensor([ids])}
        if images:
            parts = [*({"type": "image"} for _ in images), {"type": "text", "text": "how many? " * (1 + len(images))}]
            text = own.render_chat([{"role": "user", "content": parts}])
            inputs = own.encode([text], [images], return_tensors="pt")
            assert inputs["input_ids"][0].tolist() == ids
        want = server.model.generate(
            **inputs, max_new_tokens=LENGTH, do_sample=False, eos_token_id=server.ends,
            suppress_tokens=server.banned.tolist(),
        )[0, len(ids) :].tolist()  # fmt: skip
        assert reply.token_ids == want
        assert reply.stop_reason == "completed"


def test_a_reply_ends_at_any_end_of_the_generation_config(build: Build) -> None:
    server = start(build("gemma3"))
    ends = server.tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])
    assert server.ends == sorted(ends)
    every = set(range(server.model.config.get_text_config().vocab_size))
    server.banned = torch.tensor(sorted(every - {ends[1]}))  # the turn's end is all that can be said
    (reply,) = ask(server, [([5, 6, 7], [])], seed=1)
    assert reply.token_ids == [ends[1]]


def test_requests_without_a_seed_differ_and_come_again(build: Build) -> None:
    server, steps = start(build("llama")), []
    for _ in range(2):
        server.unseeded.clear()  # as new weights do
        replies = ask(server, [([5, 6, 7], [])] * 4 + [([8, 9], [])] * 2, temperature=1.0)
        texts = [tuple(reply.token_ids) for reply in replies]
        assert len(set(texts)) == 6
        steps.append(texts)
    assert steps[0] == steps[1]
    server.global_steps = 1
    server.unseeded.clear()
    assert set(steps[0]).isdisjoint(tuple(r.token_ids) for r in ask(server, [([5, 6, 7], [])] * 4, temperature=1.0))


def test_a_picture_for_a_text_model_is_refused(build: Build, pictures: dict[str, Path]) -> None:
    server = start(build("llama"))
    with pytest.raises(ValueError, match="the model has no processor for it"):
        ask(server, [([5], [Image.open(pictures["small"])])])
