"""Joining of what processors write for prompts of other sizes, and token types where verl removes padding."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mindgpt_patches.verl_media_batch import _packing, _padding, join_rows


def refuse(*args: Any) -> Any:
    raise AssertionError("verl's own was called")


def test_rows_are_filled_with_zeros_to_the_largest_in_each_dimension() -> None:
    joined = join_rows([torch.ones(1, 2, 3, 4), torch.ones(2, 1, 5, 2)])
    assert joined.shape == (3, 2, 5, 4) and float(joined.sum()) == 24 + 20
    assert torch.equal(joined[0, :, :3], torch.ones(2, 3, 4)) and torch.equal(joined[1, 0, :, :2], torch.ones(5, 2))


def test_rows_of_one_shape_are_only_put_together() -> None:
    rows = [torch.arange(6.0).view(2, 3), torch.arange(3.0).view(1, 3)]
    assert torch.equal(join_rows(rows), torch.cat(rows))


def test_another_rank_is_torchs_error() -> None:
    with pytest.raises(RuntimeError):
        join_rows([torch.ones(1, 2), torch.ones(1, 2, 3)])


def test_rows_without_pictures_and_chosen_rows() -> None:
    rows = [{"pixel_values": torch.ones(1, 2)}, None, SimpleNamespace(data={}), {"pixel_values": torch.ones(2, 3)}]
    extract = _padding(refuse)
    assert extract(rows)["pixel_values"].shape == (3, 3)
    assert extract(rows, [0, 1])["pixel_values"].shape == (1, 2)
    assert extract([]) == {}


def test_what_is_no_tensor_is_left_to_verl() -> None:
    extract = _padding(lambda rows, indices: {"asked": (len(rows), indices)})
    assert extract([{"image_bound": torch.ones(1, 2)}], None) == {"asked": (1, None)}
    assert extract([{"pixel_values": [1]}]) == {"asked": (1, None)}


def test_token_types_are_packed_like_the_tokens() -> None:
    ids = torch.nested.as_nested_tensor([torch.tensor([5, 6, 7]), torch.tensor([8])], layout=torch.jagged)
    types = torch.tensor([[0, 1, 1], [1, 0, 0]])  # padded to the longest row

    def packed(self: Any, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"input_ids": torch.tensor([[5, 6, 7, 8, 0, 0]]), "token_type_ids": types}, {"pad_size": 2}

    inputs, _ = _packing(packed)(None, {"input_ids": ids})
    assert inputs["token_type_ids"].tolist() == [[0, 1, 1, 1, 0, 0]]

    def padded(self: Any, batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"input_ids": torch.zeros(2, 3), "token_type_ids": types}, {}

    assert _packing(padded)(None, {"input_ids": ids})[0]["token_type_ids"] is types
