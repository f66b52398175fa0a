"""Layouts multiply to the GPUs, and each rule rules out what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgpt_plugins.sizing import model as reading
from mindgpt_plugins.workbench.parallel import plan, rules
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout, enumerate_layouts
from mindgpt_plugins.workbench.parallel.request import TRAINERS, ParallelRequest, RequestError

CONFIGS = Path(__file__).parent / "configs"
DENSE = reading.read_model_sizes(CONFIGS / "qwen3_vl_8b.json")
SPARSE = reading.read_model_sizes(CONFIGS / "qwen3_vl_30b_a3b.json")


@given(st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_sizes_multiply_to_the_gpus(gpus: int) -> None:
    for trainer in ("verl-megatron", "verl-fsdp2", "llamafactory"):
        layouts = list(enumerate_layouts(trainer, gpus, 8))
        assert len(layouts) == len(set(layouts))
        assert all(one.dp * one.tp * one.pp * one.cp == gpus for one in layouts)


@given(st.sampled_from([1, 2, 4, 8, 16, 24, 32]), st.sampled_from([DENSE, SPARSE]), st.sampled_from([1024, 4096, 6000]))
@settings(max_examples=12, deadline=None)
def test_valid_layouts_obey_every_rule(gpus: int, model: reading.Model, seq: int) -> None:
    request = ParallelRequest(gpus=gpus, seq=seq, global_batch=96, trainers=TRAINERS["sft"])
    valid, killed = rules.split_valid_layouts(model, request)
    count = sum(
        len(list(enumerate_layouts(t, gpus, model.text.experts.count if model.text.experts else 0)))
        for t in TRAINERS["sft"]
    )
    assert len(valid) + sum(killed.values()) == count
    for one in valid:
        assert model.text.heads % one.tp == model.text.layers % (one.pp * one.vpp) == 0
        assert max(model.text.kv_heads, one.tp) % min(model.text.kv_heads, one.tp) == 0
        assert one.cp == 1 or one.trainer != "verl-megatron" or seq % (2 * one.cp) == 0
        assert 96 % one.dp == 0
        if model.text.experts and one.trainer == "verl-megatron":
            assert model.text.experts.count % one.ep == 0
            assert one.dp * one.tp * one.cp == one.ep * one.etp * one.expert_shard


@pytest.mark.parametrize(
    ("layout", "rule"),
    [
        (ParallelLayout("verl-megatron", 1, tp=3), "heads % TP (32 heads)"),
        (ParallelLayout("verl-megatron", 1, tp=16), "TP within one node of 8 GPUs"),
        (ParallelLayout("verl-megatron", 1, pp=5), "layers % (PP·VPP) (48 layers)"),
        (ParallelLayout("verl-megatron", 1, pp=2, vpp=5), "layers % (PP·VPP) (48 layers)"),
        (ParallelLayout("verl-megatron", 1, cp=3), "seq % (2·CP) (8192 tokens)"),
        (ParallelLayout("verl-megatron", 3, ep=3), "experts % EP (128 experts)"),
        (ParallelLayout("verl-megatron", 2, ep=4), "EP·ETP divides DP·CP·TP"),
        (ParallelLayout("verl-megatron", 5), "global batch % (DP·micro-batch) (64 sequences)"),
        (ParallelLayout("verl-megatron", 64, pp=3, vpp=2), "micro-batches % PP, for VPP"),
        (ParallelLayout("verl-fsdp2", 1, cp=3, shard=3, sharding="fsdp2"), "heads % Ulysses (32 heads)"),
        (ParallelLayout("verl-fsdp2", 8, shard=2, sharding="fsdp2"), "FSDP shard groups are whole nodes of 8 GPUs"),
        (ParallelLayout("llamafactory", 1, sharding="zero3"), "sharding needs more than one GPU"),
        # verl's reference for this model on one node: experts over all eight GPUs beside TP2 and CP2
        (ParallelLayout("verl-megatron", 2, tp=2, cp=2, ep=8, etp=1, shard=4), None),
    ],
)
def test_the_rule_that_breaks(layout: ParallelLayout, rule: str | None) -> None:
    gpus = layout.dp * layout.tp * layout.pp * layout.cp
    assert rules.find_broken_rule(layout, SPARSE, ParallelRequest(gpus=gpus, global_batch=64)) == rule


def test_more_ranks_than_key_heads_repeat_them() -> None:
    layout = ParallelLayout("verl-megatron", 1, tp=8)
    assert SPARSE.text.kv_heads == 4
    assert rules.find_broken_rule(layout, SPARSE, ParallelRequest(gpus=8)) is None


def test_lora_is_not_planned_with_megatron() -> None:
    with pytest.raises(RequestError, match="LoRA with Megatron"):
        plan.make_parallel_plan(DENSE, ParallelRequest(gpus=8, lora=16, trainers=("verl-megatron",)))


def test_nothing_valid_names_the_rules() -> None:
    with pytest.raises(RequestError, match=r"no layout of 7 GPUs .*heads % TP \(32 heads\)"):
        plan.make_parallel_plan(DENSE, ParallelRequest(gpus=7, global_batch=64, trainers=TRAINERS["sft"]))
