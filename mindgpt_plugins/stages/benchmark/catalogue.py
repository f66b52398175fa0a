"""Which benchmarks a recipe can name, and what each is called in EvalScope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mindgpt_plugins.core.registry import hint_nearest

HARNESS = "evalscope"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark as EvalScope knows it."""

    task: str
    """Its name in EvalScope."""
    labels: tuple[str, ...]
    """Keys of a sample's metadata that make its capability, coarse to fine; empty: its subset."""
    answers: Literal["extracted", "verdict"] = "extracted"
    """What counts as an answer: what the harness extracted, or a YES or NO that it finds in there."""


BENCHMARKS: dict[str, Benchmark] = {
    "mmbench": Benchmark("mm_bench", ("L2-category", "category")),
    "mmstar": Benchmark("mm_star", ("category", "l2_category")),
    "mathvista": Benchmark("math_vista", ("task",)),
    "mathvision": Benchmark("math_vision", ("subject",)),
    "mmmu": Benchmark("mmmu", ()),
    "ocrbench": Benchmark("ocr_bench", ("question_type",)),
    "hallusionbench": Benchmark("hallusion_bench", ("category", "subcategory"), answers="verdict"),
    "pope": Benchmark("pope", ("category",), answers="verdict"),
}


def find_benchmark(name: str) -> Benchmark:
    """Look a benchmark up.

    Raises:
        ValueError: unknown; the message names the nearest one and lists all.
    """
    if name not in BENCHMARKS:
        near = hint_nearest(name, BENCHMARKS) or ";"
        raise ValueError(f"there is no benchmark {name!r}{near} choose from {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
