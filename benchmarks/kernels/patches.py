"""Time of each patched function beside the host's own, on CPU.

    python benchmarks/kernels/patches.py              (about 3 minutes on 2 idle cores; --rounds 2 for a quick look)

Host and patch alternate in one process; medians with the range. Sizes are those of Qwen3-VL-2B's vision tower, cut to
one layer where only the function in front of the layers matters, and to 256 wide for whole-tower calls.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindgpt_patches.cpu import wheels

RESULT = Path(__file__).parents[1] / "results" / "patches.md"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    wheels.install_finder()
    import torch

    torch.set_num_threads(args.threads)
    lines = ["| patch | case | host ms | patched ms | host / patched |", "|---|---|---|---|---|"]
    print("\n".join(lines))
    for patch, case, owner, name, call in cases():
        stock, ours = alternate(owner, name, call, args.rounds)
        ratio = statistics.median(stock) / statistics.median(ours)
        lines.append(f"| {patch} | {case} | {spread(stock)} | {spread(ours)} | {ratio:.1f} |")
        print(lines[-1], flush=True)
    RESULT.write_text(
        f"# Patches\n\n`python benchmarks/kernels/patches.py {' '.join(sys.argv[1:])}`\n\n{platform.machine()}, "
        f"{os.cpu_count()} cores, {args.threads} threads, load {os.getloadavg()[0]:.1f}; Python "
        f"{platform.python_version()}, torch {version('torch')}, transformers {version('transformers')}. Median of "
        f"{args.rounds} alternating rounds, range in brackets.\n\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )
    print(f"written: {RESULT}")


def alternate(owner: Any, name: str, call: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the host's function and of the one that replaced it."""
    mine = getattr(owner, name)
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 1):
        for function, found in zip((mine.__wrapped__, mine), times, strict=True):
            setattr(owner, name, function)
            start = time.perf_counter()
            call()
            if round_:  # the first one warms up
                found.append((time.perf_counter() - start) * 1e3)
    return times


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def cases() -> Iterator[tuple[str, str, Any, str, Callable[[], Any]]]:
    """Patch, case, where it is replaced, and one call."""
    import torch
    import transformers.processing_utils
    from mindgpt_patches import patch_embed_linear, pos_embed_cache, processor_typed_dict, vision_dedup
    from transformers.models.qwen3_vl import modeling_qwen3_vl as host
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

    for patch in (patch_embed_linear, pos_embed_cache, vision_dedup, processor_typed_dict):
        patch.apply()
    config = Qwen3VLVisionConfig(depth=1, hidden_size=1024, intermediate_size=4096, num_heads=16, out_hidden_size=2048)
    tower = host.Qwen3VLVisionModel._from_config(config)
    for dtype, patches in ((torch.float32, 4096), (torch.bfloat16, 1024)):
        embed, pixels = host.Qwen3VLVisionPatchEmbed(config).to(dtype), torch.randn(patches, 1536, dtype=dtype)

        def forward_backward(embed: Any = embed, pixels: Any = pixels) -> None:
            embed(pixels).float().square().mean().backward()

        where = (host.Qwen3VLVisionPatchEmbed, "forward")
        yield "patch_embed_linear", f"{patches} patches, {dtype}, forward + backward", *where, forward_backward
    for case, sizes in {
        "one 1024 × 1024": [[1, 64, 64]],
        "16 of 512 × 512": [[1, 32, 32]] * 16,
        "2 videos, 16 × 448 × 448": [[16, 28, 28]] * 2,
    }.items():
        grid = torch.tensor(sizes)

        def positions(grid: Any = grid) -> None:
            with torch.no_grad():
                tower.fast_pos_embed_interpolate(grid)

        yield "pos_embed_cache", case, host.Qwen3VLVisionModel, "fast_pos_embed_interpolate", positions
    small = Qwen3VLVisionConfig(depth=6, hidden_size=256, intermediate_size=1024, num_heads=4, out_hidden_size=512)
    tower6 = host.Qwen3VLVisionModel._from_config(small)
    pixels8, grid8 = torch.randn(1024, 1536).repeat(8, 1), torch.tensor([[1, 32, 32]] * 8)

    def eight_rollouts() -> None:
        tower6(pixels8, grid8).pooler_output.square().mean().backward()

    shared = "8 rollouts of one 512 × 512, small tower, forward + backward"
    yield "vision_dedup", shared, host.Qwen3VLVisionModel, "forward", eight_rollouts
    with tempfile.TemporaryDirectory() as folder:
        processor, image = small_processor(Path(folder))

        def process() -> None:
            processor(text=["<|vision_start|><|image_pad|><|vision_end|> what?"], images=[image], return_tensors="pt")

        where_ = (transformers.processing_utils, "validate_typed_dict")
        yield "processor_typed_dict", "one 64 × 64 picture through the processor", *where_, process


def small_processor(folder: Path) -> tuple[Any, Any]:
    """A Qwen3-VL processor with a tokenizer of a few words, and a picture."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "llamafactory_ext"))
    import lf_assets
    from PIL import Image
    from transformers import Qwen3VLProcessor

    lf_assets.write_data(folder / "data", size=2)
    lf_assets.write_model(folder / "model", folder / "data")
    return Qwen3VLProcessor.from_pretrained(folder / "model"), Image.new("RGB", (64, 64), "red")


if __name__ == "__main__":
    main()
