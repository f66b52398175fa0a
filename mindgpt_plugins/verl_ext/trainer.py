"""verl's trainers with our curriculum, rewards, advantages and records.

Registered when verl's trainer package is imported (see ``entry.py``), chosen with
``trainer.v1.trainer_mode=mindgpt_sync | mindgpt_colocate_async | mindgpt_separate_async``. What is ours is in
:mod:`mindgpt_plugins.verl_ext.guest`; when generation, weight updates and training happen is verl's.
"""

from __future__ import annotations

from typing import ClassVar

from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from mindgpt_plugins.verl_ext.guest import VerlTrainerMixin
from mindgpt_plugins.verl_ext.settings import Mode, find_trainer_name


@register_trainer(find_trainer_name("sync"))
class MindGPTSyncTrainer(VerlTrainerMixin, PPOTrainerSync):  # type: ignore[misc]
    """Generation and training take turns; every reply is of the current weights. Resume is exact."""

    mode: ClassVar[Mode] = "sync"


@register_trainer(find_trainer_name("colocate_async"))
class MindGPTColocateAsyncTrainer(VerlTrainerMixin, PPOTrainerColocateAsync):  # type: ignore[misc]
    """Same devices; unfinished replies are kept over the update and go on with the new weights."""

    mode: ClassVar[Mode] = "colocate_async"


@register_trainer(find_trainer_name("separate_async"))
class MindGPTSeparateAsyncTrainer(VerlTrainerMixin, PPOTrainerSeparateAsync):  # type: ignore[misc]
    """Rollouts on devices of their own; GPUs only."""

    mode: ClassVar[Mode] = "separate_async"
