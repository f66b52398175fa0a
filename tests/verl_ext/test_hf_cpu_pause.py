"""``hf_cpu`` under an asynchronous trainer: cut off at an update, it goes on with the reply and the new weights."""

import asyncio
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("verl.workers.rollout.replica")

from mindgpt_plugins.stages.model.config import ModelConfig  # noqa: E402
from mindgpt_plugins.stages.model.run import build_model  # noqa: E402
from mindgpt_plugins.verl_ext.hf_cpu import HFServer  # noqa: E402

LENGTH = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> HFServer:
    folder = tmp_path_factory.mktemp("tiny")
    sizes = ModelConfig(kind="model", tokenizer_from=["x/x"], hidden_size=64, layers=1, vision_layers=1)
    build_model(sizes, ["what colour is it?"], folder, 0, 32 * 32, 96 * 96)
    server = HFServer(SimpleNamespace(max_num_seqs=64, response_length=LENGTH), str(folder), 0)
    server.banned = torch.cat([server.banned, torch.tensor([server.tokenizer.eos_token_id])])  # every reply is long
    return server


async def ask(server: HFServer, prompt: list[int], length: int = LENGTH, seed: int = 1, **params):
    return await server.generate(prompt, {"seed": seed, "max_tokens": length, **params}, "id")


def forward(server: HFServer, tokens: list[int], first: int) -> torch.Tensor:
    with torch.no_grad():
        logits = server.model(input_ids=torch.tensor([tokens])).logits[0, first - 1 : -1]
    logits[:, server.banned] = -torch.inf
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens[first:])[:, None]).squeeze(1)


def test_a_reply_is_cut_and_goes_on_with_the_new_weights(server: HFServer):
    prompt = [5, 6, 7]
    changed = {name: value * 1.5 for name, value in server.model.state_dict().items() if "lm_head" not in name}
    kept = {name: value.clone() for name, value in server.model.state_dict().items()}

    async def run():
        server.global_steps = 0
        going = asyncio.create_task(ask(server, prompt))
        while not server.running:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        await server.abort_all_requests()
        first = await going
        parked = asyncio.create_task(ask(server, prompt + first.token_ids, LENGTH - len(first.token_ids)))
        await asyncio.sleep(0.3)
        assert not parked.done()  # held until the new weights are there
        before = forward(server, prompt + first.token_ids, 3)
        await server.load_weights(list((kept | changed).items()), 1)
        await server.resume_generation()
        return first, await parked, before

    try:
        first, rest, before = asyncio.run(run())
        after = forward(server, prompt + first.token_ids + rest.token_ids, 3 + len(first.token_ids))
    finally:
        server.queue = server.worker = None
        server.model.load_state_dict(kept)
    assert first.stop_reason == "aborted"
    assert 0 < len(first.token_ids) < LENGTH
    assert rest.stop_reason == "completed"
    assert len(first.token_ids) + len(rest.token_ids) == LENGTH
    assert (first.extra_fields["global_steps"], rest.extra_fields["global_steps"]) == (0, 1)
    assert torch.allclose(torch.tensor(first.log_probs), before, atol=1e-4)
    assert torch.allclose(torch.tensor(rest.log_probs), after, atol=1e-4)
    assert rest.token_ids[: len(first.token_ids)] != first.token_ids[: len(rest.token_ids)]  # other random numbers


def test_requests_with_other_settings_do_not_share_a_batch(server: HFServer):
    async def run():
        return await asyncio.gather(
            ask(server, [5, 6], 6, temperature=0.0), ask(server, [5, 6], 4, seed=3), ask(server, [5, 6], 6, seed=3)
        )

    try:
        greedy, short, long = asyncio.run(run())
    finally:
        server.queue = server.worker = None
    tokens = [5, 6]
    for _ in range(6):
        with torch.no_grad():
            logits = server.model(input_ids=torch.tensor([tokens])).logits[0, -1]
        logits[server.banned] = -torch.inf
        tokens.append(int(logits.argmax()))
    assert greedy.token_ids == tokens[2:]
    assert short.token_ids == long.token_ids[:4]  # one batch, each with its own limit
    assert [r.stop_reason for r in (greedy, short, long)] == ["completed"] * 3
