"""Lets verl 0.9.1 train on pictures of any family: what their processors write is joined over rows of other shapes.

Why: verl joins a micro-batch's picture tensors with ``torch.cat``, which layouts of one flat list of patches (Qwen-VL,
GLM-V) and of pictures of one size allow. Other processors write tensors of each prompt's own number of tiles or size
(LLaVA, Idefics3, Pixtral), and join prompts by padding with zeros; so does this. A row's token types (Gemma 3's
``token_type_ids``, of which verl knows the newer name ``mm_token_type_ids`` only) are padded like its tokens, and
packed like them where verl removes padding.

Asked for with ``MINDGPT_PATCHES=verl_media_batch``, which ``mindgpt run`` sets for RL stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mindgpt_patches.guard import Place, replace_places

EXTRACT = {"8f1bc6201191": "verl 0.9.1"}
PREPARE = {"fd0acb0fe309": "verl 0.9.1"}
TYPES = ("token_type_ids", "mm_token_type_ids")
"""Inputs with a number per token, (rows, tokens)."""


def places() -> list[Place]:
    """What is replaced."""
    import verl.workers.engine.fsdp.transformer_impl as module

    return [
        Place(module, "extract_multi_modal_inputs", EXTRACT, _padding),
        Place(module.FSDPEngineWithLMHead, "prepare_model_inputs", PREPARE, _packing),
    ]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: the engine is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def join_rows(values: Sequence[Any]) -> Any:
    """Tensors one below the other, as processors join prompts: zeros fill what a row lacks in the other dimensions.

    Args:
        values: of one input, a tensor per row; the first dimension counts pictures, patches or rows.
    """
    import torch
    from torch.nn.functional import pad

    if len({value.dim() for value in values}) > 1 or len({value.shape[1:] for value in values}) == 1:
        return torch.cat(list(values))  # of different rank: torch's own message
    wanted = [max(sizes) for sizes in zip(*(value.shape[1:] for value in values), strict=True)]
    rows = []
    for value in values:
        lacking = [want - have for want, have in zip(wanted, value.shape[1:], strict=True)]
        rows.append(pad(value, [size for lack in reversed(lacking) for size in (0, lack)]))
    return torch.cat(rows)


def _padding(original: Any) -> Any:
    import torch

    def extract_multi_modal_inputs(batch_data: Any, indices: list[int] | None = None) -> dict[str, Any]:
        rows = [getattr(row, "data", row) for row in batch_data]
        if indices is not None:
            rows = [rows[i] for i in indices if i < len(rows)]
        given = [row for row in rows if row]
        tensors = all(isinstance(value, torch.Tensor) for row in given for value in row.values() if value is not None)
        if not tensors or any("image_bound" in row for row in given):
            found: dict[str, Any] = original(batch_data, indices)
            return found
        names = dict.fromkeys(name for row in given for name in row)
        columns = {name: [row[name] for row in given if row.get(name) is not None] for name in names}
        return {name: join_rows(values) for name, values in columns.items() if values}

    return extract_multi_modal_inputs


def _packing(original: Any) -> Any:
    import torch

    def prepare_model_inputs(self: Any, micro_batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        inputs, output_args = original(self, micro_batch)
        shape = inputs["input_ids"].shape
        for name in TYPES:
            types = inputs.get(name)
            if types is None or types.shape == shape:
                continue
            lengths = micro_batch["input_ids"].offsets().diff().tolist()
            packed = torch.cat([row[:length] for row, length in zip(types, lengths, strict=True)])
            inputs[name] = torch.nn.functional.pad(packed, [0, shape[1] - len(packed)])[None]
        return inputs, output_args

    return prepare_model_inputs
