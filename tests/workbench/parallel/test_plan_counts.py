"""Counts per rank are those of torch's own sharding of the real-size models, under a fake process group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.sizing import model as reading
from mindgpt_plugins.sizing import weights
from mindgpt_plugins.workbench.parallel import counts
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout

CONFIGS = Path(__file__).parent / "configs"


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[int]:
    """A process group of as many ranks as the test's parameter says, all but rank 0 imagined."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    size: int = request.param
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=size)
    yield size
    dist.destroy_process_group()


def meta_model(name: str) -> Any:
    """The real-size model of transformers without its values."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(
            AutoConfig.for_model(**json.loads((CONFIGS / f"{name}.json").read_text()))
        )


def on_rank(model: Any) -> int:
    """Elements this rank holds."""
    return sum((p.to_local() if hasattr(p, "to_local") else p).numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "world"),
    [("qwen3_vl_2b", 8), ("qwen3_vl_30b_a3b", 64), ("qwen3_vl_30b_a3b", 48), ("qwen2_5_vl_7b", 24)],
    indirect=["world"],
)
def test_fsdp2(name: str, world: int) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, mesh = meta_model(name), init_device_mesh("cpu", (world,))
    for unit in (*model.model.language_model.layers, *model.model.visual.blocks, model):
        fully_shard(unit, mesh=mesh)
    held = counts.count_shard_parameters(reading.read_model_sizes(CONFIGS / f"{name}.json"), world)
    assert sum(held.values()) == on_rank(model)


@pytest.mark.parametrize(
    ("name", "world"), [("qwen3_vl_2b", 8), ("qwen3_vl_8b", 2), ("qwen3_vl_30b_a3b", 4)], indirect=["world"]
)
def test_tensor_and_expert_parallel(name: str, world: int) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
    from torch.nn import Parameter

    model, mesh = meta_model(name), init_device_mesh("cpu", (world,))
    text = model.model.language_model
    columns = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
    plan = dict.fromkeys(columns, ColwiseParallel())
    rows = dict.fromkeys(("self_attn.o_proj", "mlp.down_proj"), RowwiseParallel())
    known = dict(text.layers[0].named_modules())
    for layer in text.layers:
        parallelize_module(layer, mesh, {key: value for key, value in (plan | rows).items() if key in known})
        if "mlp.experts" in known:
            experts = layer.mlp.experts
            for key, value in list(experts.named_parameters()):
                experts.register_parameter(key, Parameter(distribute_tensor(value, mesh, [Shard(0)])))
    parallelize_module(text, mesh, {"embed_tokens": RowwiseParallel(input_layouts=Replicate())})
    tied = model.config.tie_word_embeddings
    if not tied:
        parallelize_module(model, mesh, {"lm_head": ColwiseParallel()})
    else:
        model.lm_head.weight = text.embed_tokens.weight
    read = reading.read_model_sizes(CONFIGS / f"{name}.json")
    layout = ParallelLayout("verl-megatron", dp=1, tp=world, ep=world if read.text.experts else 1)
    assert sum(counts.count_stage_parameters(read, layout, 0).values()) == on_rank(model)


@pytest.mark.parametrize(("pp", "vpp"), [(1, 1), (2, 1), (4, 3), (6, 2)])
@pytest.mark.parametrize("name", ["qwen3_vl_4b", "qwen3_vl_8b"])
def test_pipeline_stages_hold_the_model(name: str, pp: int, vpp: int) -> None:
    model = reading.read_model_sizes(CONFIGS / f"{name}.json")
    layout = ParallelLayout("verl-megatron", dp=1, pp=pp, vpp=vpp)
    layers = [layer for stage in range(pp) for layer in counts.list_stage_layers(layout, model.text.layers, stage)]
    assert sorted(layers) == list(range(model.text.layers))
    held = sum(sum(counts.count_stage_parameters(model, layout, stage).values()) for stage in range(pp))
    copy = model.text.vocabulary * model.text.hidden if model.text.tied and pp > 1 else 0
    assert held == weights.count_parameters(weights.list_model_weights(model)) + copy
