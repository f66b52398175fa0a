"""Peak figures of GPUs, from their makers' data sheets: dense bfloat16 with float32 accumulation, no sparsity."""

from __future__ import annotations

from dataclasses import dataclass

from mindgpt_plugins.core.registry import hint_nearest


class CostError(ValueError):
    """A cost that cannot be estimated; names the option, its value and what to give instead."""


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: as sold.
        tflops: peak dense bfloat16, 10¹² FLOP/s.
        bandwidth: peak memory bandwidth, 10¹² bytes/s.
        memory: 10⁹ bytes.
        source: where the figures stand.
    """

    name: str
    tflops: float
    bandwidth: float
    memory: float
    source: str


GPUS = {
    "h100": Gpu("H100 SXM", 989.4, 3.35, 80, "NVIDIA H100 Tensor Core GPU datasheet (sparse figure halved)"),
    "h100-pcie": Gpu("H100 PCIe", 756.0, 2.0, 80, "NVIDIA H100 Tensor Core GPU datasheet (sparse figure halved)"),
    "h200": Gpu("H200 SXM", 989.4, 4.8, 141, "NVIDIA H200 Tensor Core GPU datasheet (sparse figure halved)"),
    "b200": Gpu("B200 SXM", 2250.0, 8.0, 180, "NVIDIA HGX B200 specifications (sparse figure halved)"),
    "a100": Gpu("A100 SXM 80 GB", 312.0, 2.039, 80, "NVIDIA A100 Tensor Core GPU datasheet"),
    "l40s": Gpu("L40S", 362.05, 0.864, 48, "NVIDIA L40S datasheet"),
    "4090": Gpu("GeForce RTX 4090", 165.2, 1.008, 24, "NVIDIA Ada GPU architecture whitepaper, appendix"),
    "mi300x": Gpu("MI300X", 1307.4, 5.3, 192, "AMD Instinct MI300X data sheet"),
}


def find_gpu(name: str) -> Gpu:
    """A GPU of the table.

    Raises:
        CostError: it is not there.
    """
    if name not in GPUS:
        raise CostError(f"--gpu {name!r}: not in the table{hint_nearest(name, GPUS) or '.'} Known: {', '.join(GPUS)}.")
    return GPUS[name]
