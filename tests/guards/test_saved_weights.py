"""Saved weights of every element type, sound and not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mindgpt_plugins.core.files import FileError
from mindgpt_plugins.guards import weights
from mindgpt_plugins.guards.weights import find_bad_weights

NAN, INF = float("nan"), float("inf")
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_element_type_is_read(tmp_path: Path, kind: torch.dtype) -> None:
    usual = (torch.randn(7, 9) * 5).to(kind)
    largest = torch.tensor([torch.finfo(kind).tiny, 400.0, -400.0]).to(kind)
    save_file({"a": usual, "b": largest, "ids": torch.tensor([-1, 2**62])}, tmp_path / "model.safetensors")
    assert find_bad_weights(tmp_path) is None
    for value in (NAN, -NAN) if kind == torch.float8_e4m3fn else (NAN, INF, -INF):
        bad = usual.clone()
        bad[3, 4] = value
        save_file({"a": usual, "b": bad}, tmp_path / "model.safetensors")
        found = find_bad_weights(tmp_path)
        assert found is not None and (found.tensor, found.bad, found.tensors) == ("b", 1, 2)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_numbers_that_overflow_when_squared_are_no_weights(tmp_path: Path, kind: torch.dtype) -> None:
    for value, bad in ((2.0**59, False), (2.0**60, True), (-1e30, True)):
        save_file({"a": torch.tensor([1.0, value]).to(kind)}, tmp_path / "model.safetensors")
        assert (find_bad_weights(tmp_path) is not None) == bad


def test_shards_are_counted_together_and_the_first_is_named(tmp_path: Path) -> None:
    good, bad = torch.ones(4), torch.tensor([1.0, INF])
    save_file({"a": good, "empty": torch.zeros(0)}, tmp_path / "model-1.safetensors")
    save_file({"c": bad, "b": bad.clone(), "z": good}, tmp_path / "model-2.safetensors")
    found = find_bad_weights(tmp_path)
    assert found is not None and found.file.name == "model-2.safetensors" and (found.bad, found.tensors) == (2, 5)
    assert str(found).startswith("2 of 5 tensors hold inf, NaN or numbers beyond 2^60, first ")


def test_the_last_number_of_a_tensor_of_many_chunks_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "CHUNK", 64)
    many = torch.ones(101, dtype=torch.bfloat16)
    save_file({"a": many}, tmp_path / "model.safetensors")
    assert find_bad_weights(tmp_path) is None
    many[-1] = NAN
    save_file({"a": many}, tmp_path / "model.safetensors")
    assert find_bad_weights(tmp_path) is not None


def test_no_weights_are_no_fault_and_a_cut_file_is_named(tmp_path: Path) -> None:
    assert find_bad_weights(tmp_path) is None
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(1000)}, path)
    whole = path.read_bytes()
    for cut in (whole[:-1], whole[:20], b"", b"not a model at all"):
        path.write_bytes(cut)
        with pytest.raises(FileError, match=r"model\.safetensors is"):
            find_bad_weights(tmp_path)
