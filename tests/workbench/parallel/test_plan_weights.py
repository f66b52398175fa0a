"""The planner's list of weights is the state dict of transformers: every name, every shape."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.sizing import model as reading
from mindgpt_plugins.sizing import weights as listing
from mindgpt_plugins.workbench.parallel.render import TARGETS

CONFIGS = sorted((Path(__file__).parent / "configs").glob("*.json"))


def meta_model(path: Path, **changes: Any) -> Any:
    """The model of transformers without its values."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    raw = json.loads(path.read_text()) | changes
    config = AutoConfig.for_model(**raw)
    auto = AutoModelForImageTextToText if "vision_config" in raw else AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(config)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_weight_is_there(path: Path) -> None:
    weights = listing.list_model_weights(reading.read_model_sizes(path))
    built = {name: tuple(value.shape) for name, value in meta_model(path).named_parameters()}
    assert listing.map_weight_shapes(weights) == built
    assert listing.count_parameters(weights) == sum(listing.count_parameters_by_part(weights).values())


@pytest.mark.parametrize(
    ("name", "tied"), [("qwen3_vl_2b", False), ("qwen3_vl_8b", True), ("qwen2_5_vl_7b", True), ("qwen3_8b", True)]
)
def test_embeddings_tied_or_not(name: str, tied: bool) -> None:
    path = CONFIGS[0].parent / f"{name}.json"
    model = reading.parse_model_sizes(json.loads(path.read_text()) | {"tie_word_embeddings": tied}, path.stem)
    weights = listing.list_model_weights(model)
    built = {name: tuple(value.shape) for name, value in meta_model(path, tie_word_embeddings=tied).named_parameters()}
    assert listing.map_weight_shapes(weights) == built


def test_the_published_sizes() -> None:
    """The counts on the model cards: 2B is 2.13 B with its vision tower, 30B-A3B 31.07 B, 3.3 B of it active."""
    counts = {
        path.stem: listing.count_parameters(listing.list_model_weights(reading.read_model_sizes(path)))
        for path in CONFIGS
    }
    assert counts["qwen3_vl_2b"] == 2_127_532_032
    assert round(counts["qwen3_vl_8b"] / 1e9, 2) == 8.77
    assert round(counts["qwen2_5_vl_7b"] / 1e9, 2) == 8.29
    assert round(counts["qwen3_vl_30b_a3b"] / 1e9, 2) == 31.07


def test_some_layers_of_a_mixture_may_be_dense() -> None:
    path = CONFIGS[0].parent / "qwen3_30b_a3b.json"
    raw = json.loads(path.read_text()) | {"num_hidden_layers": 4, "mlp_only_layers": [0], "decoder_sparse_step": 2}
    weights = listing.list_model_weights(reading.parse_model_sizes(raw, "mixed"))
    built = meta_model(path, num_hidden_layers=4, mlp_only_layers=[0], decoder_sparse_step=2)
    assert listing.map_weight_shapes(weights) == {name: tuple(value.shape) for name, value in built.named_parameters()}


@pytest.mark.parametrize("name", ["qwen3_vl_2b", "qwen2_5_vl_3b"])
def test_adapters_are_those_of_peft(name: str) -> None:
    from peft import LoraConfig, get_peft_model

    path = CONFIGS[0].parent / f"{name}.json"
    model = get_peft_model(meta_model(path), LoraConfig(r=8, target_modules=TARGETS))
    trainable = sum(value.numel() for value in model.parameters() if value.requires_grad)
    weights = listing.list_model_weights(reading.read_model_sizes(path), adapter_rank=8)
    assert listing.count_parameters_by_part(weights)["adapter"] == trainable


def test_a_bias_in_attention_is_counted() -> None:
    path = CONFIGS[0].parent / "qwen3_8b.json"
    raw = json.loads(path.read_text()) | {"attention_bias": True, "num_hidden_layers": 2}
    weights = listing.list_model_weights(reading.parse_model_sizes(raw, "bias"))
    built = meta_model(path, attention_bias=True, num_hidden_layers=2)
    assert listing.map_weight_shapes(weights) == {name: tuple(value.shape) for name, value in built.named_parameters()}


def test_local_counts_never_split_a_head() -> None:
    model = reading.read_model_sizes(CONFIGS[0].parent / "qwen3_vl_30b_a3b.json")
    key = next(one for one in listing.list_model_weights(model) if one.name.endswith("k_proj.weight"))
    assert [key.local(ways) for ways in (1, 2, 4, 8)] == [2**20, 2**19, 2**18, 2**18]
    assert replace(key, heads=None).local(8) == 2**17
