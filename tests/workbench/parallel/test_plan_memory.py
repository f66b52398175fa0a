"""Predicted peaks beside measured ones at tiny size, and how memory must change with a layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mindgpt_plugins.sizing import model as reading
from mindgpt_plugins.workbench.parallel import memory, plan, rollout
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.request import GIB, TRAINERS, ParallelRequest, Recompute, parse_image_sizes

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "parallel"
CONFIGS = Path(__file__).parent / "configs"
DENSE = reading.read_model_sizes(CONFIGS / "qwen3_vl_8b.json")
SPARSE = reading.read_model_sizes(CONFIGS / "qwen3_vl_30b_a3b.json")
MEGATRON = ParallelRequest(gpus=8, trainers=("verl-megatron",), images=((32, 32),))


@pytest.mark.parametrize(
    ("kind", "checkpointing", "dtype"),
    [
        ("text", False, "float32"),
        ("experts", True, "float32"),
        ("pictures", False, "bfloat16"),
        ("pictures", True, "float32"),
    ],
)
def test_a_step_on_cpu(kind: str, checkpointing: bool, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 5 % of the live tensors of a real step; the benchmark does this at larger sizes, in processes."""
    monkeypatch.syspath_prepend(BENCHMARKS)  # another folder of benchmarks has a memory.py too
    import measure
    import memory as benchmark

    configs = {
        "text": benchmark.text(),
        "experts": benchmark.multimodal("qwen3_vl_moe"),
        "pictures": benchmark.multimodal(),
    }
    case = benchmark.whole({"config": configs[kind], "seq": 128, "checkpointing": checkpointing, "dtype": dtype})
    if kind != "text":
        case["images"] = [[16, 16]]
    assert benchmark.predicted(case).total == pytest.approx(measure.measure(case)["tensors"], rel=0.05)


def train(
    layout: ParallelLayout, mode: Recompute = "full", model: reading.Model = DENSE, **changes: object
) -> memory.Memory:
    return memory.estimate_training_memory(model, layout, replace(MEGATRON, **changes), mode=mode)  # type: ignore[arg-type]


def test_megatron_by_hand() -> None:
    """8.77 B parameters on one rank: 2 bytes of weights, 4 of gradients, 12 of optimizer; TP2 halves the text part."""
    from mindgpt_plugins.sizing import weights

    parts = weights.count_parameters_by_part(weights.list_model_weights(DENSE))
    tower = parts["vision"] + parts["projector"]
    text = sum(parts.values()) - tower
    one = train(ParallelLayout("verl-megatron", 1)).parts
    assert (one["weights"], one["gradients"], one["optimizer"]) == (2 * text, 4 * text, 12 * text)
    assert one["vision"] > 18 * tower
    small = 2 * 4096 * 36 + 4096 + 2 * 128 * 36  # norms, which every rank has
    assert train(ParallelLayout("verl-megatron", 1, tp=2)).parts["weights"] == 2 * ((text - small) / 2 + small)
    assert train(ParallelLayout("verl-megatron", 8, shard=8)).parts["optimizer"] == 12 * text / 8


def test_recompute_saves_activations() -> None:
    for layout in (
        ParallelLayout("verl-megatron", 8, shard=8),
        ParallelLayout("verl-megatron", 1, tp=2, pp=2, cp=2, shard=2),
    ):
        for model in (DENSE, SPARSE):
            modes: tuple[Recompute, ...] = ("none", "selective", "full")
            none, selective, full = (train(layout, mode, model).total for mode in modes)
            assert none > selective > full


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (ParallelLayout("verl-megatron", 4, tp=2, shard=4), ParallelLayout("verl-megatron", 8, shard=8)),
        (ParallelLayout("verl-megatron", 4, cp=2, shard=8), ParallelLayout("verl-megatron", 8, shard=8)),
        (ParallelLayout("verl-megatron", 2, pp=4, shard=2), ParallelLayout("verl-megatron", 4, pp=2, shard=4)),
        (ParallelLayout("verl-megatron", 1, pp=4), ParallelLayout("verl-megatron", 1, pp=4, vpp=3)),
    ],
)
def test_cutting_more_needs_less(smaller: ParallelLayout, larger: ParallelLayout) -> None:
    assert train(smaller, "none").total < train(larger, "none").total


def test_experts_are_cut_by_expert_parallelism_alone() -> None:
    one, eight = (train(ParallelLayout("verl-megatron", 8, ep=ep, shard=8), model=SPARSE).parts for ep in (1, 8))
    experts = 128 * 3 * 768 * 2048 * 48
    assert one["weights"] - eight["weights"] == 2 * experts * 7 / 8
    assert one["optimizer"] == pytest.approx(eight["optimizer"])  # copies of an expert share its optimizer


def test_lora_leaves_gradients_and_optimizer_small() -> None:
    full, lora = (train(ParallelLayout("llamafactory", 8, shard=8, sharding="fsdp2"), lora=rank) for rank in (0, 32))
    assert lora.parts["optimizer"] < full.parts["optimizer"] / 50
    assert lora.parts["weights"] == pytest.approx(full.parts["weights"], rel=0.02)


def test_a_fused_loss_needs_no_logits() -> None:
    layout = ParallelLayout("llamafactory", 8, shard=8, sharding="fsdp2")
    assert train(layout, fused_loss=True).parts["logits"] < train(layout).parts["logits"] / 3


def test_ulysses_cuts_the_tokens_but_not_the_images() -> None:
    one = train(ParallelLayout("verl-fsdp2", 8, shard=8, sharding="fsdp2"), "none").parts
    two = train(ParallelLayout("verl-fsdp2", 4, cp=2, shard=8, sharding="fsdp2"), "none").parts
    assert two["activations"] == one["activations"] / 2
    assert two["vision"] == one["vision"]


def test_rollouts_share_the_gpu_with_the_states() -> None:
    request = ParallelRequest(gpus=8, stage="rl", trainers=TRAINERS["rl"])
    made = plan.make_parallel_plan(DENSE, request)
    assert {option.layout.trainer for option in made.options} == set(TRAINERS["rl"])
    for option in made.options:
        generating = option.rollout
        assert generating is not None
        used = (
            generating.resident
            + generating.weights
            + max(0.0, generating.cache)
            + memory.compute_reserved_bytes(request)
        )
        assert used <= 80 * GIB or not option.fits
        assert rollout.compute_cache_per_token(DENSE, 1) == 2 * 2 * 36 * 8 * 128
    tight = plan.make_parallel_plan(DENSE, replace(request, gpus=1, gpu_mem=40))
    assert tight.fitting == 0


def test_fitting_layouts_come_first_and_quicker_ones_before() -> None:
    options = plan.make_parallel_plan(SPARSE, ParallelRequest(gpus=16, trainers=("verl-megatron",), gpu_mem=60)).options
    fits = [option.fits for option in options]
    assert fits == sorted(fits, reverse=True) and True in fits and False in fits
    for tight in (False, True):
        alike = [option for option in options if option.fits and option.tight == tight]
        assert alike and [one.seconds for one in alike] == sorted(one.seconds for one in alike)
        assert all((one.peak > 54 * GIB) == tight for one in alike)
    first_tight = next(i for i, option in enumerate(options) if option.tight)
    assert not any(option.fits and not option.tight for option in options[first_tight:])


def test_images_are_rounded_to_merged_patches() -> None:
    assert parse_image_sizes(["2x1024x768", "33x20"], DENSE.vision) == ((48, 64), (48, 64), (2, 2))
