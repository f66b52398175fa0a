"""How ``dpo`` is rehearsed: as any training by LLaMA-Factory, with its own patches."""

from __future__ import annotations

from typing import ClassVar

from mindgpt_plugins.stages.sft.rehearse import TrainingRehearsal


class DPORehearsal(TrainingRehearsal):
    """Two steps on pairs."""

    patched: ClassVar[str] = "dpo"
