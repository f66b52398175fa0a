"""Fixes a verl 0.9.1 crash, on any device, when all samples of a multimodal batch have the same length.

Why: position ids of a vision-language batch are a nested (batch, 4, length) tensor. When every length is equal, torch
chooses dimension 1 as the ragged one, and ``verl/utils/tensordict_utils.py`` then sets ``_ragged_idx = 2`` without
moving the data: ``split_with_sizes expects split_sizes to sum exactly to …``. GPU runs meet it too, for example when a
rank holds one sample.

Asked for with ``MINDGPT_PATCHES=verl_equal_length``, which ``mindgpt run`` sets for RL stages.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"dc8fa9819080": "verl 0.9.1"}


def places() -> list[Place]:
    """What is replaced."""
    import verl.utils.tensordict_utils as module

    return [Place(module, "maybe_fix_3d_position_ids", KNOWN, _moving)]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: ``maybe_fix_3d_position_ids`` is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def _moving(original: Any) -> Any:
    from verl.utils.tensordict_utils import nested_tensor_from_tensor_list

    def maybe_fix_3d_position_ids(data: Any) -> None:
        rows = _equal_rows(data["position_ids"]) if "position_ids" in data.keys() else None  # noqa: SIM118
        if rows is None:
            original(data)
        else:
            data["position_ids"] = nested_tensor_from_tensor_list(rows, ragged_idx=2)

    return maybe_fix_3d_position_ids


def _equal_rows(ids: Any) -> list[Any] | None:
    """The samples of a nested tensor that is ragged along dimension 1 although its lengths are equal, else ``None``."""
    if not ids.is_nested or ids.dim() != 3:
        return None
    values, offsets, batch = ids._values, ids._offsets, ids.size(0)
    height = values.shape[0] // batch
    packed_along_rows = values.shape[0] == height * batch == int(offsets[-1]) and int(offsets[1] - offsets[0]) == height
    if not packed_along_rows or values.shape[1] == int(offsets[-1]):
        return None
    return list(values.view(batch, height, values.shape[1]).unbind(0))
