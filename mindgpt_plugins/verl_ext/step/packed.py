"""Experts packed as transformers keeps them, from the one-by-one names that verl sends to rollout engines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_ONE = re.compile(r"(.+\.mlp\.experts)\.(\d+)\.(gate|up|down)_proj\.weight")


def pack_state_dict(weights: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The state dict of a transformers model.

    The inverse of verl's ``unfuse_moe_params``: ``experts.3.gate_proj.weight``, ``up``, ``down`` (two dimensions each)
    become ``experts.gate_up_proj`` and ``experts.down_proj`` with the expert as their first dimension. Everything else
    stays as it is.
    """
    import torch

    found: dict[str, Any] = {}
    experts: dict[str, dict[str, dict[int, Any]]] = {}
    for name, tensor in weights:
        match = _ONE.fullmatch(name)
        if match is None:
            found[name] = tensor
        else:
            stem, number, part = match.groups()
            experts.setdefault(stem, {}).setdefault(part, {})[int(number)] = tensor
    for stem, parts in experts.items():
        gate, up, down = (torch.stack([one for _, one in sorted(parts[p].items())]) for p in ("gate", "up", "down"))
        found[f"{stem}.gate_up_proj"] = torch.cat([gate, up], dim=1)
        found[f"{stem}.down_proj"] = down
    return found
