"""Rollout backend ``hf_cpu``: transformers' ``generate`` behind verl's server interface, for machines without vLLM.

Chosen with ``actor_rollout_ref.rollout.name=hf_cpu`` and
``actor_rollout_ref.model.external_lib=mindgpt_plugins.verl_ext.hf_cpu`` (verl imports ``external_lib`` in the task
runner, the training workers and the agent-loop workers). Text and images, of any family whose processor can be asked
token by token; another one is refused when the server starts.

Every reply has its own random stream, from the ``seed`` in its sampling parameters, or from how many like it were
asked for since the last update where an agent loop gives none; the requests of a step are sorted and run as one batch,
so that the samples do not depend on the order in which requests arrive. In the asynchronous modes
verl aborts what is under way before an update: generation stops at the next token, and verl asks again with
what there is so far.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import ray
from mindgpt_patches.verl_media_batch import join_rows
from verl.workers.rollout.base import _ROLLOUT_REGISTRY, BaseRollout
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry, TokenOutput

from mindgpt_plugins.families import PromptFeatures, find_family
from mindgpt_plugins.verl_ext.agent_loop import EXPECTED
from mindgpt_plugins.verl_ext.step.packed import pack_state_dict
from mindgpt_plugins.verl_ext.step.seeds import derive_sample_seed

NAME = "hf_cpu"
_STARTED: list[Any] = []  # an actor lives as long as somebody holds its handle
PATIENCE = 2.0
"""Seconds without a new request after which a batch runs although more were announced."""
GRACE = 0.05
"""The same where nothing was announced."""


class HFServer:
    """Holds a copy of the model and answers generation requests; a Ray actor."""

    def __init__(self, config: Any, model_path: str, replica_rank: int):
        import torch
        from transformers import AutoConfig
        from verl.utils import hf_processor, hf_tokenizer
        from verl.utils.model import get_hf_auto_model_class

        self.config, self.replica_rank = config, replica_rank
        self.global_steps: int | None = None
        self.tokenizer = hf_tokenizer(model_path)
        self.family = find_family(hf_processor(model_path) or self.tokenizer)
        self.features = PromptFeatures(self.family)
        model_config = AutoConfig.from_pretrained(model_path)
        build = get_hf_auto_model_class(model_config).from_config
        self.model = build(model_config, attn_implementation="sdpa").to(torch.float32).eval()
        self.ends = self.family.list_stop_ids(_load_generation_config(model_path, self.model))
        self.banned = torch.tensor(self.family.list_banned_ids(model_config, self.ends), dtype=torch.long)
        self.queue: asyncio.Queue[_Request] | None = None
        self.worker: asyncio.Task[None] | None = None
        self.paused = self.running = False
        self.cut: set[tuple[int, int]] = set()
        """(seed, tokens so far) of replies that were cut off."""
        self.unseeded: Counter[bytes] = Counter()
        """Requests without a seed since the weights changed, by prompt."""

    async def generate(
        self,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        request_id: str,
        image_data: list[Any] | None = None,
        video_data: list[Any] | None = None,
        **unused: Any,
    ) -> TokenOutput:
        """Answer one request; waits for its batch."""
        if video_data:
            raise NotImplementedError("hf_cpu rollouts take text and images; use rollout.name=vllm for videos")
        if self.queue is None:
            self.queue = asyncio.Queue()
            self.worker = asyncio.create_task(self._serve())
        request = _Request(list(prompt_ids), dict(sampling_params), list(image_data or []))
        if request.images and not self.family.sees:
            raise ValueError("the prompt has a picture, and the model has no processor for it in verl")
        if request.params.get("seed") is None:
            request.params["seed"] = self._number(request)
        await self.queue.put(request)
        return await request.answer

    async def _serve(self) -> None:
        assert self.queue is not None
        while True:
            batch = [await self.queue.get()]
            while True:
                announced = int(batch[0].params.get(EXPECTED, 0))
                if announced and len(batch) >= announced:
                    break
                try:
                    batch.append(await asyncio.wait_for(self.queue.get(), PATIENCE if announced else GRACE))
                except TimeoutError:
                    break
            batch.sort(key=lambda r: (r.sampling, len(r.prompt_ids), r.prompt_ids, r.seed))
            size = int(self.config.max_num_seqs)
            for _, alike in itertools.groupby(batch, key=lambda r: r.sampling):
                requests = list(alike)
                for start in range(0, len(requests), size):
                    await self._answer(requests[start : start + size])

    async def _answer(self, part: list[_Request]) -> None:
        while self.paused:
            await asyncio.sleep(0.01)
        self.running = True
        try:
            outputs = await asyncio.to_thread(self._run, part)
        except Exception as error:
            for request in part:
                request.answer.set_exception(error)
        else:
            for request, output in zip(part, outputs, strict=True):
                request.answer.set_result(output)
        finally:
            self.running = False

    def _run(self, batch: list[_Request]) -> list[TokenOutput]:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        from mindgpt_plugins.verl_ext.seeded_choice import SeededChoice

        width = max(len(r.prompt_ids) for r in batch)
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(r.prompt_ids)) + r.prompt_ids for r in batch])
        mask = torch.tensor([[0] * (width - len(r.prompt_ids)) + [1] * len(r.prompt_ids) for r in batch])
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if pictures := self._pictures(batch):
            inputs |= pictures
            inputs |= {name: types * mask for name, types in self.features.mark_tokens(ids).items()}
        temperature, top_k, top_p = batch[0].sampling
        choice = SeededChoice(
            [self._seed(r) for r in batch], temperature=temperature, top_k=top_k, top_p=top_p, banned=self.banned
        )
        limits = [
            int(r.params.get("max_tokens") or r.params.get("max_new_tokens") or self.config.response_length)
            for r in batch
        ]
        with torch.no_grad():
            sequences = self.model.generate(
                **inputs,
                max_new_tokens=max(limits),
                do_sample=False,
                eos_token_id=self.ends,
                pad_token_id=pad,
                logits_processor=LogitsProcessorList([choice]),
                stopping_criteria=StoppingCriteriaList([lambda ids, _: torch.full((len(ids),), self.paused)]),
            )
        replies, log_probs = sequences[:, width:].tolist(), choice.log_probs()
        outputs = []
        for request, limit, reply, probabilities in zip(batch, limits, replies, log_probs, strict=True):
            ended = next((i + 1 for i, token in enumerate(reply) if token in self.ends), None)
            length = min(limit, ended or len(reply))
            whole = length == limit or ended is not None
            if not whole:
                self.cut.add((request.seed, len(request.prompt_ids) + length))
            outputs.append(
                TokenOutput(
                    token_ids=reply[:length],
                    log_probs=probabilities[:length],
                    stop_reason="completed" if whole else "aborted",
                    extra_fields={"global_steps": self.global_steps},
                )
            )
        return outputs

    def _seed(self, request: _Request) -> int:
        """Its own; another one where it goes on with a reply, whose first random numbers are used up."""
        seed, so_far = request.seed, len(request.prompt_ids)
        return derive_sample_seed(seed, "go on", 0, so_far) & 0x7FFFFFFF if (seed, so_far) in self.cut else seed

    def _number(self, request: _Request) -> int:
        """A seed for a request that has none, which siblings send alike: by how many came before it."""
        seen = hashlib.blake2b(repr(request.prompt_ids).encode(), digest_size=16)
        for image in request.images:
            seen.update(image.tobytes())
        like = seen.digest()
        self.unseeded[like] += 1
        seed = int(getattr(self.config, "seed", 0) or 0)
        prompt = f"{self.replica_rank}/{like.hex()}"  # siblings may be spread over servers
        return derive_sample_seed(seed, prompt, self.unseeded[like], self.global_steps or 0) & 0x7FFFFFFF

    def _pictures(self, batch: list[_Request]) -> dict[str, Any]:
        """Inputs of the pictures of a batch, joined as the training side joins them."""
        cache: dict[bytes, dict[str, Any]] = {}
        rows = []
        for request in batch:
            if request.images:
                key = b"".join(repr(image.size).encode() + image.tobytes() for image in request.images)
                if key not in cache:  # siblings share their pictures
                    cache[key] = self.features.encode_pictures(request.images)
                rows.append(cache[key])
        return {name: join_rows([row[name] for row in rows]) for name in rows[0]} if rows else {}

    async def load_weights(self, weights: list[tuple[str, Any]], global_steps: int | None) -> None:
        """Take over the actor's weights.

        Raises:
            RuntimeError: names do not match the model.
        """
        missing, unexpected = self.model.load_state_dict(pack_state_dict(weights), strict=False)
        tied = set(getattr(self.model, "_tied_weights_keys", None) or ())
        missing = [name for name in missing if name not in tied]
        if missing or unexpected:
            raise RuntimeError(f"hf_cpu: weights do not fit: missing {missing[:5]}, unexpected {unexpected[:5]}")
        self.global_steps = global_steps
        self.unseeded.clear()

    async def idle(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to wake, to put to sleep or to flush."""

    async def abort_all_requests(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Cut off what is under way and hold the rest until :meth:`resume_generation`."""
        self.paused = True
        while self.running:
            await asyncio.sleep(0.005)
        return {"aborted_count": 0, "request_ids": []}

    async def resume_generation(self, *args: Any, **kwargs: Any) -> None:
        """Go on, with the new weights."""
        self.paused = False

    wake_up = sleep = clear_kv_cache = release_kv_cache = resume_kv_cache = start_profile = stop_profile = idle
    wait_for_requests_to_drain = idle


class _Request:
    def __init__(self, prompt_ids: list[int], params: dict[str, Any], images: list[Any]):
        self.prompt_ids, self.params, self.images = prompt_ids, params, images
        self.sampling = (
            float(params.get("temperature", 1.0)),
            int(params.get("top_k", -1)),
            float(params.get("top_p", 1.0)),
        )
        self.answer: asyncio.Future[TokenOutput] = asyncio.get_running_loop().create_future()

    @property
    def seed(self) -> int:
        """Of its random stream."""
        return int(self.params["seed"])


class HFReplica(RolloutReplica):  # type: ignore[misc]
    """One server per training rank."""

    async def launch_servers(self) -> None:
        """Start the server actor."""
        config = self.model_config
        path = config["path"] if isinstance(config, Mapping) else config.path
        server = _server(self.replica_rank, self.config, str(path))
        await server.idle.remote()
        self.servers, self._server_handle = [server], server
        self._server_address = f"{NAME}:{self.replica_rank}"


class HFServerAdapter(BaseRollout):  # type: ignore[misc]
    """The training worker's side: hands its weights to the server."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1):
        super().__init__(config, model_config, device_mesh)
        c = self.config
        world = c.tensor_model_parallel_size * c.data_parallel_size * c.pipeline_model_parallel_size
        rank = int(os.environ["RANK"])
        self.replica_rank = rank // world if replica_rank == -1 else replica_rank
        self.leader = rank % world == 0

    async def resume(self, tags: list[str]) -> None:
        """Nothing is ever released."""

    async def release(self) -> None:
        """Nothing is ever released."""

    async def update_weights(
        self, weights: Any, global_steps: int | None = None, wire_format: str = "named_tensors", **unused: Any
    ) -> None:
        """Send full tensors."""
        from verl.workers.rollout.utils import ensure_async_iterator

        if wire_format != "named_tensors":
            raise NotImplementedError(f"hf_cpu takes named tensors, not {wire_format!r}")
        named = [(name, tensor.detach().cpu()) async for name, tensor in ensure_async_iterator(weights)]
        if self.leader:
            await ray.get_actor(_server_name(self.replica_rank)).load_weights.remote(named, global_steps)


def _load_generation_config(model_path: str, model: Any) -> Any:
    """The folder's, whose end tokens a model made of its configuration alone does not have."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(model_path)
    except OSError:
        return model.generation_config


def start_servers_early(config: Any) -> None:
    """Start the servers while the training workers are still being set up: their start-up is import time."""
    for rank in range(config.trainer.n_gpus_per_node * config.trainer.nnodes):
        _STARTED.append(_server(rank, config.actor_rollout_ref.rollout, str(config.actor_rollout_ref.model.path)))


def _server(rank: int, config: Any, path: str) -> Any:
    from verl.utils.config import omega_conf_to_dataclass

    options = {"name": _server_name(rank), "max_concurrency": 1000, "get_if_exists": True}
    return ray.remote(HFServer).options(**options).remote(omega_conf_to_dataclass(config), path, rank)


def _server_name(replica_rank: int) -> str:
    return f"{NAME}_server_{replica_rank}_0"


_ROLLOUT_REGISTRY[(NAME, "async")] = f"{__name__}.HFServerAdapter"
RolloutReplicaRegistry.register(NAME, lambda: HFReplica)
