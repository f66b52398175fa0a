"""LoRA adapters as weight differences: W + Σ_i c_i · s_i · B_i A_i, exactly, as one model or as one adapter.

Adapters of one base add up by concatenating their ranks, so a point between two adapters is an adapter again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.files import read_json, write_json
from mindgpt_plugins.stages.interpolate.checkpoint import MergeError, TensorEntry, copy_model_extras, read_header

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_UNSUPPORTED = {
    "use_dora": "its magnitude makes the difference no low-rank product",
    "alpha_pattern": "per-module scales",
    "modules_to_save": "whole modules beside the low-rank ones",
    "target_parameters": "parameters that are no modules",
    "trainable_token_indices": "trained token rows",
    "lora_bias": "biases",
}


class Adapter:
    """A LoRA adapter folder as PEFT writes it.

    Raises:
        MergeError: it is no LoRA adapter, or uses a variant whose difference is not a plain B·A.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.config: dict[str, Any] = read_json(folder / CONFIG)
        if self.config.get("peft_type") != "LORA":
            raise MergeError(f"{folder}: peft_type {self.config.get('peft_type')!r}; only LoRA can be interpolated")
        for key, why in _UNSUPPORTED.items():
            if self.config.get(key):
                raise MergeError(f"{folder}: {key} ({why}) is not supported; merge it first and interpolate the model")
        if self.config.get("bias", "none") != "none":
            raise MergeError(f"{folder}: bias {self.config['bias']!r} is not supported; merge it first")
        if not (folder / WEIGHTS).is_file():
            raise MergeError(f"{folder} has no {WEIGHTS}")

    @staticmethod
    def at(folder: Path) -> bool:
        """Is this an adapter's folder?"""
        return (folder / CONFIG).is_file()

    @cached_property
    def entries(self) -> dict[str, TensorEntry]:
        """Tensors of the adapter."""
        return read_header(self.folder / WEIGHTS)

    @cached_property
    def targets(self) -> dict[str, str]:
        """Weight in the model → prefix of its pair of tensors in the adapter."""
        found = {}
        for name in self.entries:
            stem, _, kind = name.rpartition(".lora_")
            if kind not in ("A.weight", "B.weight") or not stem.startswith(_PREFIX):
                raise MergeError(f"{self.folder / WEIGHTS}: {name} is not a plain LoRA weight; merge the adapter first")
            if len(self.entries[name].shape) != 2:
                raise MergeError(f"{self.folder / WEIGHTS}: {name} is not a matrix (a convolution?); merge it first")
            found[f"{stem.removeprefix(_PREFIX)}.weight"] = stem
        return found

    def pair(self, target: str) -> tuple[Tensor, Tensor]:
        """``A`` (rank, in) and ``B`` (out, rank) of a target, in float32 with PEFT's scale multiplied into ``B``."""
        from safetensors import safe_open

        with safe_open(self.folder / WEIGHTS, "pt") as file:
            a, b = (file.get_tensor(f"{self.targets[target]}.lora_{kind}.weight").float() for kind in "AB")
        rank = a.shape[0]
        divisor = math.sqrt(rank) if self.config.get("use_rslora") else rank
        return a, b * (self.config["lora_alpha"] / divisor)

    def delta(self, target: str) -> Tensor:
        """What the adapter adds to a weight, float32."""
        a, b = self.pair(target)
        product = b @ a
        return product.T if self.config.get("fan_in_fan_out") else product


def combine_adapters(adapters: Sequence[tuple[Adapter, float]], folder: Path) -> None:
    """Write the adapter whose difference is Σ c_i · ΔW_i; one adapter is only scaled, several concatenate their ranks.

    Every adapter must have been trained on the same base. Targets that only some adapters have are padded with zeros.

    Raises:
        MergeError: the adapters name different bases or differ in ``fan_in_fan_out``.
    """
    import torch
    from safetensors.torch import save_file

    first = adapters[0][0]
    for other, _ in adapters[1:]:
        for key in ("base_model_name_or_path", "fan_in_fan_out"):
            if first.config.get(key) != other.config.get(key):
                raise MergeError(
                    f"{key} is {first.config.get(key)!r} in {first.folder} and {other.config.get(key)!r} in "
                    f"{other.folder}; adapters of different bases cannot be combined"
                )
    tensors: dict[str, Tensor] = {}
    ranks: dict[str, int] = {}
    for target in dict.fromkeys(t for adapter, _ in adapters for t in adapter.targets):
        pairs = [(*adapter.pair(target), c) for adapter, c in adapters if target in adapter.targets]
        stem = f"{_PREFIX}{target.removesuffix('.weight')}"
        a, b = torch.cat([a for a, _, _ in pairs]), torch.cat([b * c for _, b, c in pairs], 1)
        tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"] = a.contiguous(), b.contiguous()
        ranks[target] = a.shape[0]
    rank = max(ranks.values())
    if min(ranks.values()) < rank:
        # PEFT scales by lora_alpha / rank of the module: pad with zeros rather than give every module its own alpha.
        for name, tensor in tensors.items():
            missing = rank - tensor.shape[0 if name.endswith("A.weight") else 1]
            padding = (0, 0, 0, missing) if name.endswith("A.weight") else (0, missing)
            tensors[name] = torch.nn.functional.pad(tensor, padding)
    folder.mkdir(parents=True, exist_ok=True)
    modules = sorted({t.removesuffix(".weight") for t in ranks})
    config = {
        **first.config,
        "r": rank,
        "lora_alpha": rank,  # scale 1: `pair` has multiplied each adapter's own into B
        "use_rslora": False,
        "rank_pattern": {},
        "target_modules": modules,
    }
    copy_model_extras(first.folder, folder)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, config)
