"""A layout: how many ways each kind of parallelism cuts the work; and all layouts of a number of GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Trainer = Literal["verl-megatron", "verl-fsdp2", "llamafactory"]
Sharding = Literal["megatron", "fsdp2", "zero3", "zero2", "ddp"]


@dataclass(frozen=True)
class ParallelLayout:
    """Sizes of the parallel groups; their product is the number of GPUs.

    Attributes:
        trainer: what would run it.
        dp: data parallel replicas.
        tp: tensor parallel ranks, with sequence parallelism.
        pp: pipeline stages.
        vpp: chunks of layers per stage (virtual pipeline).
        cp: context parallel ranks; for FSDP2 the Ulysses ranks.
        ep: expert parallel ranks.
        etp: tensor parallel ranks within an expert.
        shard: ranks that share one copy of weights and optimizer (FSDP, ZeRO); for Megatron of the optimizer alone.
        sharding: which scheme that is.
    """

    trainer: Trainer
    dp: int
    tp: int = 1
    pp: int = 1
    vpp: int = 1
    cp: int = 1
    ep: int = 1
    etp: int = 1
    shard: int = 1
    sharding: Sharding = "megatron"

    @property
    def expert_shard(self) -> int:
        """Ranks that hold the same experts."""
        return (
            max(1, self.dp * self.tp * self.cp // (self.ep * self.etp)) if self.sharding == "megatron" else self.shard
        )

    def __str__(self) -> str:
        if self.trainer == "verl-megatron":
            sizes = {"DP": self.dp, "TP": self.tp, "PP": self.pp, "CP": self.cp, "EP": self.ep}
            virtual = f" VPP{self.vpp}" if self.vpp > 1 else ""
            inner = f" ETP{self.etp}" if self.ep > 1 or self.etp > 1 else ""
            return " ".join(f"{name}{size}" for name, size in sizes.items()) + inner + virtual
        if self.trainer == "verl-fsdp2":
            return f"DP{self.dp} SP{self.cp} shard{self.shard}"
        return f"DP{self.dp} {self.sharding}"


def enumerate_layouts(trainer: Trainer, gpus: int, experts: int) -> Iterator[ParallelLayout]:
    """All layouts whose sizes multiply to the number of GPUs, valid or not."""
    if trainer == "llamafactory":
        for scheme in ("fsdp2", "zero3", "zero2", "ddp"):
            yield ParallelLayout(trainer, gpus, shard=1 if scheme == "ddp" else gpus, sharding=scheme)
    elif trainer == "verl-fsdp2":
        for cp in list_divisors(gpus):
            for shard in list_divisors(gpus):
                yield ParallelLayout(trainer, gpus // cp, cp=cp, shard=shard, sharding="fsdp2")
    else:
        for tp in list_divisors(gpus):
            for pp in list_divisors(gpus // tp):
                for cp in list_divisors(gpus // (tp * pp)):
                    dp = gpus // (tp * pp * cp)
                    for vpp in (1, 2, 3, 4) if pp > 1 else (1,):
                        for ep in list_divisors(gpus // pp) if experts else (1,):
                            for etp in sorted({1, tp}) if experts else (1,):
                                yield ParallelLayout(trainer, dp, tp, pp, vpp, cp, ep, etp, dp * cp)


def list_divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [i for i in range(1, number + 1) if number % i == 0]
