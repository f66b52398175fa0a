"""What a rank of the two-process tests does; ``python gloo_ranks.py RANK FILE`` prints its findings as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "parallel"))
from measure import batch, build  # noqa: E402
from memory import multimodal  # noqa: E402

WORLD = 2
RAW = multimodal(vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, head_dim=16)
Gradients = dict[str, torch.Tensor]


def data() -> dict[str, torch.Tensor]:
    """Two rows with a picture each, the same on every rank."""
    torch.manual_seed(1)
    return batch(RAW, WORLD, 32, [[4, 4]])


def reference() -> tuple[float, Gradients]:
    """Loss and gradients of one process on both rows."""
    model = build(RAW, False, False)
    loss = model(**data()).loss
    loss.backward()
    return loss.item(), {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def worst(model: Any, wanted: Gradients) -> float:
    """Largest error of a gradient over the largest value of that gradient."""
    errors = []
    for name, value in model.named_parameters():
        if name in wanted:
            found = value.grad.full_tensor() if hasattr(value.grad, "full_tensor") else value.grad
            errors.append(((found - wanted[name]).abs().max() / wanted[name].abs().max()).item())
    assert len(errors) == len(wanted)
    return max(errors)


def fsdp2(rank: int, wanted: Gradients) -> dict[str, float]:
    """One row per rank, the layers sharded one by one; gradients are averaged."""
    from torch.distributed.fsdp import fully_shard

    model, mesh = build(RAW, False, False), init_device_mesh("cpu", (WORLD,))
    for unit in (*model.model.language_model.layers, *model.model.visual.blocks, model):
        fully_shard(unit, mesh=mesh)
    whole = data()
    own = {name: value.chunk(WORLD)[rank] for name, value in whole.items()}
    loss = model(**own).loss
    loss.backward()
    shared = loss.detach().clone()
    dist.all_reduce(shared)
    held = sum(value.to_local().numel() for value in model.parameters())
    return {"loss": shared.item() / WORLD, "error": worst(model, wanted), "held": held}


def tensor_parallel(wanted: Gradients) -> dict[str, float]:
    """Both rows on both ranks, attention and feed-forward cut; norms of heads see their own heads only."""
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    model, mesh = build(RAW, False, False), init_device_mesh("cpu", (WORLD,))
    columns = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
    plan = dict.fromkeys(columns, ColwiseParallel())
    rows = dict.fromkeys(("self_attn.o_proj", "mlp.down_proj"), RowwiseParallel())
    for layer in model.model.language_model.layers:
        parallelize_module(layer, mesh, plan | rows)
    loss = model(**data()).loss
    loss.backward()
    before = worst(model, wanted)
    for name, value in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            dist.all_reduce(value.grad)
    return {"loss": loss.item(), "without": before, "error": worst(model, wanted)}


def ulysses(rank: int) -> dict[str, Any]:
    """verl's exchange: every head's tokens here, every token's heads back, and the same attention as on one rank."""
    from torch.nn.functional import scaled_dot_product_attention
    from verl.utils import ulysses as exchange

    exchange.set_ulysses_sequence_parallel_group(dist.group.WORLD)
    torch.manual_seed(2)
    query, key, value = torch.randn(3, 1, 8, 4, 16)  # batch, tokens, heads, width
    whole = scaled_dot_product_attention(*(x.transpose(1, 2) for x in (query, key, value)), is_causal=True)
    mine = [x.chunk(WORLD, dim=1)[rank].contiguous().requires_grad_() for x in (query, key, value)]
    heads = [exchange.gather_seq_scatter_heads(x, seq_dim=1, head_dim=2) for x in mine]
    out = scaled_dot_product_attention(*(x.transpose(1, 2) for x in heads), is_causal=True).transpose(1, 2)
    back = exchange.gather_heads_scatter_seq(out.contiguous(), head_dim=2, seq_dim=1)
    back.sum().backward()
    again = exchange.gather_heads_scatter_seq(heads[0].detach(), head_dim=2, seq_dim=1)
    wanted = whole.transpose(1, 2).chunk(WORLD, dim=1)[rank]
    return {
        "shape": list(heads[0].shape),
        "round_trip": torch.equal(again, mine[0].detach()),
        "error": (back.detach() - wanted).abs().max().item(),
        "gradients": all(x.grad is not None and bool(x.grad.isfinite().all()) for x in mine),
    }


def main() -> None:
    """Join the other rank through a file and run everything."""
    torch.set_num_threads(1)
    rank = int(sys.argv[1])
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=WORLD)
    loss, wanted = reference()
    found = {
        "reference": loss,
        "fsdp2": fsdp2(rank, wanted),
        "tensor": tensor_parallel(wanted),
        "ulysses": ulysses(rank),
    }
    dist.destroy_process_group()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
