"""The masked-picture pass in verl: the step's replies scored once more with most of each picture blacked out.

Raw pictures are not in the TransferQueue, so patches are blacked in ``pixel_values``. The masked rows go into a
partition of their own under their own keys, verl's actor workers score them as they score ``old_log_probs``, and they
are cleared again: the batch itself is only read.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import transfer_queue as tq
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu

from mindgpt_plugins.advantage.perception import (
    Perception,
    Seen,
    blacken_patches,
    compute_log_ratio,
    derive_perception_weights,
    draw_patch_mask,
)
from mindgpt_plugins.advantage.perception_config import PerceptionConfig
from mindgpt_plugins.verl_ext.settings import VerlSettingsError
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply

PARTITION = "mindgpt_masked"
ROWS = 256
"""Replies per call of the workers, at least one micro-batch each: bounds what is held twice."""
PIXELS = {"pixel_values": "image_grid_thw", "pixel_values_videos": "video_grid_thw"}
FIELDS = (
    "input_ids",
    "position_ids",
    "attention_mask",
    "prompts",
    "responses",
    "response_mask",
    "loss_mask",
    "routed_experts",
    "multi_modal_inputs",
)


@dataclass(frozen=True)
class PixelLayout:
    """How a processor writes pixels."""

    merge: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class _Row:
    key: str
    reply: int
    seed: str


class PerceptionPass:
    """Measures how much replies depend on their pictures.

    Args:
        config: what to do with it.
        seed: of the masks, with the step and the prompt.
        processor: the model's; must write patches as Qwen-VL's do.
        host: verl's whole configuration.
        workers: verl's actor worker group.

    Raises:
        SettingsError: the model has no picture processor, or one with another layout.
    """

    def __init__(self, config: PerceptionConfig, seed: int, processor: Any, host: Any, workers: Any):
        self.config, self.seed, self.host, self.workers = config, seed, host, workers
        self.layouts = {
            "pixel_values": _layout(getattr(processor, "image_processor", None)),
            "pixel_values_videos": _layout(getattr(processor, "video_processor", None)),
        }
        if self.layouts["pixel_values"] is None:
            kind = type(getattr(processor, "image_processor", processor)).__name__
            raise VerlSettingsError(
                f"perception: masks patches as Qwen-VL processors lay them out, and {kind} has no merge_size; remove "
                "the section `perception:` for this model"
            )

    def run(self, batch: KVBatchMeta, replies: Sequence[ScoredReply], step: int) -> Perception:
        """Score the step's pictures masked; ``batch`` is not changed.

        Replies of a prompt see the same masked picture, another one in every step. Adversarial prompts and those
        without a picture are left out (α = 1).

        Args:
            batch: with ``old_log_probs``; padding rows are skipped.
            replies: of all its sessions.
            step: from 1.
        """
        started = time.perf_counter()
        place = {(reply.group, reply.session): i for i, reply in enumerate(replies)}
        rows = []
        for key, tag in zip(batch.keys, batch.tags, strict=True):
            if not tag.get("is_padding", False):
                group, session, _ = key.rsplit("_", 2)
                reply = place[group, int(session)]
                one = replies[reply].rollout
                if one.type != "adversarial":
                    rows.append(_Row(key, reply, f"{self.seed}/{step}/{one.uid}"))
        seen: dict[str, Seen] = {}
        for part in _chunks(rows, max(ROWS, self._dp_size() * self._micro_batch())):
            seen |= self._measure(part, str(batch.partition_id))
        found = derive_perception_weights(self.config, seen, len(replies))
        return replace(found, metrics=found.metrics | {"perception/seconds": time.perf_counter() - started})

    def _measure(self, rows: list[_Row], partition: str) -> dict[str, Seen]:
        keys = [row.key for row in rows]
        data = tq.kv_batch_get(keys=keys, partition_id=partition, select_fields=[*FIELDS, "old_log_probs"])
        columns = {name: _unbound(data[name]) for name in FIELDS if name in data}
        inputs = columns["multi_modal_inputs"]
        sighted = [i for i, one in enumerate(inputs) if one and any(one.get(name) is not None for name in PIXELS)]
        if not sighted:
            return {}
        plain_rows = [{name: column[i] for name, column in columns.items()} for i in sighted]
        cache: dict[str, dict[str, Any]] = {}
        masked_rows = []
        for i, row in zip(sighted, plain_rows, strict=True):
            seed = rows[i].seed
            if seed not in cache:
                cache[seed] = self._masked(inputs[i], seed)
            masked_rows.append(row | {"multi_modal_inputs": dict(cache[seed])})
        masked = self._log_probs([keys[i] for i in sighted], masked_rows)
        correction = self.host.algorithm.get("rollout_correction", None)
        if correction and correction.get("bypass_mode", False):
            # old_log_probs are the rollout engine's; the difference of two engines is not perception.
            plain = self._log_probs([keys[i] for i in sighted], plain_rows)
        else:
            old = _unbound(data["old_log_probs"])
            plain = [old[i] for i in sighted]
        return {
            keys[i]: Seen(rows[i].reply, compute_log_ratio(m, p), columns["response_mask"][i].to(torch.bool))
            for i, m, p in zip(sighted, masked, plain, strict=True)
        }

    def _masked(self, inputs: dict[str, Any], seed: str) -> dict[str, Any]:
        """A copy with blacked patches; everything else is shared."""
        changed = dict(inputs)
        for name, grid_name in PIXELS.items():
            pixels = inputs.get(name)
            if pixels is None:
                continue
            layout, grid = self.layouts[name], inputs.get(grid_name)
            if layout is None or grid is None:
                raise VerlSettingsError(
                    f"perception: {name} comes without {grid_name} or from a processor without merge_size, so its "
                    "patches cannot be told apart; remove the section `perception:` for this model"
                )
            mask = draw_patch_mask(
                grid.tolist(), layout.merge, self.config.masked_share, random.Random(f"{seed}/{name}")
            )
            changed[name] = blacken_patches(pixels, mask, layout.mean, layout.std)
        return changed

    def _log_probs(self, keys: list[str], rows: list[dict[str, Any]]) -> list[Tensor]:
        """Log-probabilities of the response tokens of ``rows``, by verl's actor workers."""
        count, ranks = len(rows), self._dp_size()
        share = -(-count // ranks)
        micro = -(-share // -(-share // self._micro_batch()))  # as even as the recipe's size allows
        padded = ranks * micro * -(-share // micro)
        chosen = list(itertools.islice(itertools.cycle(range(count)), padded))
        names = [f"{keys[i]}/{n}" for n, i in enumerate(chosen)]
        tags = [{"seq_len": len(rows[i]["input_ids"])} for i in chosen]
        tq.kv_batch_put(
            keys=names,
            partition_id=PARTITION,
            fields=tu.list_of_dict_to_tensordict([rows[i] for i in chosen]),
            tags=tags,
        )
        try:
            job = KVBatchMeta(keys=names, tags=tags, partition_id=PARTITION)
            job.extra_info = {
                "calculate_entropy": False,
                "compute_loss": False,
                "temperature": self.host.actor_rollout_ref.rollout.temperature,
                "micro_batch_size_per_gpu": micro,
            }
            self.workers.compute_log_prob(job)
            data = tq.kv_batch_get(keys=names[:count], partition_id=PARTITION, select_fields=["log_probs"])
            # Of the whole sequence; a token's stands at the place before it.
            whole = _unbound(data["log_probs"])
            return [one[-len(row["responses"]) - 1 : -1] for one, row in zip(whole, rows, strict=True)]
        finally:
            tq.kv_clear(keys=names, partition_id=PARTITION)

    def _dp_size(self) -> int:
        known = self.workers._dispatch_info
        if "actor" not in known:
            known["actor"] = self.workers._query_dispatch_info("actor")
        return int(max(known["actor"])) + 1

    def _micro_batch(self) -> int:
        return int(self.host.actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu or 1)


def _layout(processor: Any) -> PixelLayout | None:
    merge = getattr(processor, "merge_size", None)
    if merge is None:
        return None
    if not getattr(processor, "do_normalize", True):
        return PixelLayout(int(merge), (0.0,) * 3, (1.0,) * 3)
    return PixelLayout(int(merge), tuple(processor.image_mean), tuple(processor.image_std))


def _unbound(column: Any) -> list[Any]:
    """A column of a TensorDict as one entry per row; verl's non-tensor columns come in several types."""
    if isinstance(column, Tensor):
        return list(column.unbind())
    return [getattr(item, "data", item) for item in column]


def _chunks(rows: list[_Row], size: int) -> Iterator[list[_Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
