"""Did training change the weights it should, leave the frozen ones, and start from what the stage before handed on?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROJECTOR = "visual.merger"
PARTS = ("vision", "projector", "language")


@dataclass
class Part:
    """Tensors of one part of a model, before and after.

    Attributes:
        tensors: number of them.
        changed: how many are not bit for bit the same.
        largest: largest absolute change of any weight.
        strangers: names of matrices that are not a small step away from where they should have started.
        broken: names of tensors with NaN or infinity.
    """

    tensors: int = 0
    changed: int = 0
    largest: float = 0.0
    strangers: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass
class WeightComparison:
    """Two models with the same names, part by part; ``missing`` and ``new`` name tensors only one of them has."""

    parts: dict[str, Part]
    missing: list[str]
    new: list[str]


def compare_weights(before: Path, after: Path, *, step: float) -> WeightComparison:
    """Compare the safetensors of two model folders.

    Args:
        before: what a stage started from.
        after: what it left.
        step: learning rate × steps; a weight that moved by several times of it, and by more than half of its matrix's
            norm, was not trained from ``before``.
    """
    import torch

    olds, news = _where(before), _where(after)
    parts: dict[str, Part] = defaultdict(Part)
    for name in sorted(olds.keys() & news.keys()):
        part = parts[find_weight_part(name)]
        old, new = _read(olds[name], name), _read(news[name], name)
        part.tensors += 1
        if not bool(torch.isfinite(new).all()):
            part.broken.append(name)
            continue
        if old.shape != new.shape:
            part.strangers.append(name)
            continue
        difference = (new - old).abs()
        largest = float(difference.max()) if difference.numel() else 0.0
        part.changed += largest > 0
        part.largest = max(part.largest, largest)
        if new.dim() > 1 and largest > 8 * step and float((new - old).norm()) > 0.5 * float(old.norm()):
            part.strangers.append(name)
    tied = {name for name in (olds.keys() ^ news.keys()) if name.endswith("lm_head.weight")}
    return WeightComparison(
        dict(parts), sorted(olds.keys() - news.keys() - tied), sorted(news.keys() - olds.keys() - tied)
    )


def find_weight_part(name: str) -> str:
    """``vision``, ``projector`` or ``language``, as LLaMA-Factory cuts Qwen-VL models for freezing."""
    if "visual." not in name:
        return "language"
    return "projector" if _PROJECTOR in name else "vision"


def _where(folder: Path) -> dict[str, Path]:
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= dict.fromkeys(file.keys(), path)
    return found


def _read(path: Path, name: str) -> Any:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.get_tensor(name).float()
