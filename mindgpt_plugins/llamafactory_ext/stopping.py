"""A checkpoint when training is told to end: INT, TERM or HUP are answered after the step that is under way."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from transformers import TrainerCallback

from mindgpt_plugins.core.guard import list_stop_signals

_KEY = "mindgpt/stop"
_taken: list[signal.Signals] = []
"""Signals that are noted while this process trains."""


def _hold_in_child() -> None:
    # torchrun and SLURM send them to DataLoader workers too, and a dead worker is an error in the middle of the step.
    # A mask, as torch sets handlers of its own there. The workers end with their loader or with this process.
    signal.pthread_sigmask(signal.SIG_BLOCK, _taken)


os.register_at_fork(after_in_child=_hold_in_child)


class SaveOnSignalCallback(TrainerCallback):  # type: ignore[misc]
    """Saves at the end of a step and exits with 128 plus the signal's number, so that the run is not taken for done.

    Ranks get a signal at different moments, between different steps, and a checkpoint takes all of them at the same.
    So the first to see it writes into the group's store after which step they all save.
    """

    def __init__(self) -> None:
        self.asked, self.step = 0, 0
        """Number of the signal, and the step to save after, once they are known."""
        self._before: dict[signal.Signals, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take over the signals; before that there is nothing to save."""
        if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
            self._before = {one: signal.signal(one, self._note) for one in list_stop_signals()}
            _taken[:] = self._before

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask the host for a checkpoint when the step has come."""
        if self.is_due(state.global_step, _find_store() if args.world_size > 1 else None):
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave, now that the checkpoint is whole.

        Raises:
            SystemExit: 128 plus the signal's number.
        """
        if not self.step or state.global_step < self.step:
            return
        if args.world_size > 1:
            import torch.distributed as dist

            dist.barrier()  # torchrun ends the others when the first is gone
        name = signal.Signals(self.asked).name
        if state.is_world_process_zero:
            print(
                f"mindgpt: {name}: saved checkpoint-{state.global_step}; the same command goes on from it", flush=True
            )
        raise SystemExit(128 + self.asked)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give the signals back: what comes after training is quick or cannot be saved by halves."""
        _taken.clear()
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def is_due(self, step: int, store: Any = None) -> bool:
        """Is it time to save, after this step?

        Args:
            step: optimizer steps done.
            store: the process group's; None for a single process.
        """
        if store is None:
            self.step = self.step or (step if self.asked else 0)
        elif not self.step:
            # The others are in the next step at most: its gradients wait for this rank. They look here at its end.
            if self.asked:
                store.compare_set(_KEY, "", f"{step + 1} {self.asked}")
            if store.check([_KEY]):
                self.step, self.asked = map(int, store.get(_KEY).split())
        return bool(self.step) and step >= self.step

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = self.asked or number


def _find_store() -> Any:
    from torch.distributed import distributed_c10d

    return distributed_c10d._get_default_store()
