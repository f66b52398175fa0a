"""What our trainers do at the host's events: restore, set the epoch, hand on measurements, write ``metrics.jsonl``."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.metrics import append_metrics, truncate_metrics
from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.llamafactory_ext import checkpoints


class Restorable(Protocol):
    """What the callback needs of the trainer it reports for."""

    run: Any
    sampler: Any
    feedback: Any
    monitor: Any

    def load_guest_state(self, state: dict[str, Any]) -> None:
        """Take up the state that a checkpoint holds."""
        ...

    def trace_path(self) -> Path:
        """File of this rank's trace."""
        ...


class HostTrainerCallback(TrainerCallback):  # type: ignore[misc]
    """Restores our state, sets the epoch, writes ``metrics.jsonl``."""

    def __init__(self, guest: Restorable, path: Path):
        self.guest, self.path = guest, path
        self._since = (0, 0.0)
        self._resumed_at = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Restore from the checkpoint and drop log lines that will be written again."""
        if state.global_step > 0:
            self._resumed_at = state.global_step
            named = args.resume_from_checkpoint
            resumed = Path(named if isinstance(named, str) else f"{args.output_dir}/checkpoint-{state.global_step}")
            saved = resumed / checkpoints.STATE
            if not saved.is_file():
                raise CurriculumError(
                    f"{resumed} was written without the mindgpt section; use a new output_dir to start afresh"
                )
            self.guest.load_guest_state(read_json(saved))
        if state.is_world_process_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            truncate_metrics(self.path, state.global_step)
            truncate_metrics(self.path.with_name("mixture.jsonl"), state.global_step)
        if self.guest.run.section.trace is not None:
            self.guest.trace_path().parent.mkdir(parents=True, exist_ok=True)
            truncate_metrics(self.guest.trace_path(), state.global_step)
        self.guest.monitor.resume(state.global_step, self.path)
        self._since = (state.global_step, time.perf_counter())

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the sampler's epoch: accelerate loses its own ``set_epoch`` behind a mid-epoch resume with ranks."""
        if self.guest.sampler is None or self.guest.feedback is None:
            return
        epoch = math.floor(state.epoch or 0)
        if epoch > self.guest.sampler.epoch:  # not when a run goes on in the middle of one
            self.guest.feedback.epoch_begins()
        self.guest.sampler.set_epoch(epoch)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Hand training losses to the mixture."""
        if self.guest.feedback is not None:
            self.guest.feedback.step_done(state.global_step)
        _log_before_saving(control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Have a checkpoint at the end of an epoch judged, too."""
        _log_before_saving(control)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Hand the figures of an evaluation to the mixture."""
        if self.guest.feedback is not None:
            self.guest.feedback.evaluated(state.global_step, kwargs.get("metrics") or {})

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Append a line for a training or evaluation log."""
        if not state.is_world_process_zero or not logs:
            return
        if "loss" in logs:
            steps = state.global_step - self._since[0]
            now = time.perf_counter()
            seconds = {"seconds_per_step": (now - self._since[1]) / max(1, steps)}
            self._since = (state.global_step, now)
            append_metrics(self.path, state.global_step, state.max_steps, _figures({**logs, **seconds}))
        elif any(key.startswith("eval") for key in logs) and state.global_step != self._resumed_at:
            # With eval_on_start the host evaluates on every start; a resumed run's lines are those of a straight one.
            append_metrics(self.path, state.global_step, state.max_steps, _figures(logs))


def _log_before_saving(control: Any) -> None:
    """Have the host log when it saves: what it logs is judged, and it logs before it saves."""
    control.should_log = control.should_log or control.should_save


def _figures(logs: Mapping[str, Any]) -> dict[str, Any]:
    """The host's log for ``metrics.jsonl``: ``learning_rate`` → ``lr``, six significant digits."""
    return {
        "lr" if key == "learning_rate" else key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in logs.items()
    }
