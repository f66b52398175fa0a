"""One training step of a model with random weights, and the bytes of its live tensors at the peak.

Given one of memory.py's cases as JSON, ``python measure.py '{"config": {…}, "rows": 1, "seq": 512, …}'`` prints
the bytes.
"""

from __future__ import annotations

import json
import sys
import weakref
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the storages that operators return until they are freed; memory inside an operator is not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def track(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage until it is freed."""
        storage = tensor.untyped_storage()
        if storage in self.seen:
            return
        size = storage.nbytes()
        self.seen[storage] = size
        weakref.finalize(storage, self._freed, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _freed(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.track(leaf)
        return out


def build(raw: dict[str, Any], checkpointing: bool, freeze_vision: bool, dtype: str = "float32") -> Any:
    """The model of transformers on the CPU."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    torch.manual_seed(0)
    auto = AutoModelForImageTextToText if "vision_config" in raw else AutoModelForCausalLM
    model = auto.from_config(
        AutoConfig.for_model(**raw), attn_implementation="sdpa", dtype=getattr(torch, dtype)
    ).train()
    model.config.use_cache = False
    if freeze_vision:
        model.model.visual.requires_grad_(False)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def batch(raw: dict[str, Any], rows: int, seq: int, images: list[list[int]]) -> dict[str, torch.Tensor]:
    """Random tokens; each row starts with its images (given as height and width in patches)."""
    vocabulary = raw.get("text_config", raw)["vocab_size"]
    ids = torch.randint(0, vocabulary - 8, (rows, seq))
    extra: dict[str, torch.Tensor] = {}
    if images:
        vision = raw["vision_config"]
        merge, at = vision["spatial_merge_size"] ** 2, 0
        for height, width in images:
            ids[:, at] = raw["vision_start_token_id"]
            ids[:, at + 1 : at + 1 + height * width // merge] = raw["image_token_id"]
            at += 1 + height * width // merge
        size = vision["patch_size"] ** 2 * vision["temporal_patch_size"] * 3
        extra["pixel_values"] = torch.randn(rows * sum(h * w for h, w in images), size)
        extra["image_grid_thw"] = torch.tensor([[1, h, w] for h, w in images] * rows)
        extra["mm_token_type_ids"] = (ids == raw["image_token_id"]).int()
    return {"input_ids": ids, "labels": ids.clone(), **extra}


def resident(key: str) -> int:
    """Bytes of this process's memory: VmRSS now or VmHWM, its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Run two steps; the second, when the optimizer has its states, is measured."""
    raw = case["config"]
    live = LiveBytes()
    model = build(raw, case["checkpointing"], case["freeze_vision"], case["dtype"])
    for value in (*model.parameters(), *model.buffers()):
        live.track(value.data)
    kinds = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimizer = kinds[case["optimizer"]]([p for p in model.parameters() if p.requires_grad], lr=1e-4, foreach=False)
    data = batch(raw, case["rows"], case["seq"], case["images"])
    for value in data.values():
        live.track(value)
    other = 0
    with live:
        for step in range(2):
            if step == 1:
                Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
                live.peak = live.now
                other = resident("VmRSS") - live.now  # the interpreter and its libraries
            loss = model(**data).loss  # as transformers' Trainer: the logits are dropped before the backward pass
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            del loss
    return {
        "parameters": sum(value.numel() for value in model.parameters()),
        "tensors": live.peak,
        "rss": resident("VmHWM") - other,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(measure(json.loads(sys.argv[1]))))
