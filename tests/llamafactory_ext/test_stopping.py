"""A signal during training: a checkpoint of the step under way, of all ranks after the same step, and an exit code."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from mindgpt_plugins.llamafactory_ext import stopping
from mindgpt_plugins.llamafactory_ext.stopping import SaveOnSignalCallback


class Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.line(x).square().mean()}


class Sends(TrainerCallback):
    """Sends a signal to this process in the middle of a step, once more a step later."""

    def __init__(self, sent: signal.Signals, step: int):
        self.sent, self.step = sent, step

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        if state.global_step >= self.step:
            os.kill(os.getpid(), self.sent)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, signal.SIG_DFL) for one in stops}
    yield
    stopping._taken.clear()
    for one, handler in before.items():
        signal.signal(one, handler)


def trainer(folder: Path, *callbacks: TrainerCallback, **options: object) -> Trainer:
    arguments = TrainingArguments(
        str(folder),
        max_steps=6,
        per_device_train_batch_size=2,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        **options,
    )  # fmt: skip
    rows = [{"x": torch.tensor([float(i)])} for i in range(12)]
    torch.manual_seed(0)
    return Trainer(Line(), arguments, train_dataset=rows, callbacks=[SaveOnSignalCallback(), *callbacks])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("strategy", ["steps", "no"])
def test_it_saves_after_the_step_and_leaves(tmp_path: Path, sent: signal.Signals, strategy: str, capsys) -> None:
    stopped = trainer(tmp_path, Sends(sent, 3), save_strategy=strategy, save_steps=100)
    with pytest.raises(SystemExit) as ended:
        stopped.train()
    assert ended.value.code == 128 + sent
    assert f"{sent.name}: saved checkpoint-4" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-4"]
    resumed = trainer(tmp_path, save_strategy="no")
    resumed.train(resume_from_checkpoint=True)
    signal.signal(sent, signal.SIG_DFL)
    straight = trainer(tmp_path / "straight", save_strategy="no")
    straight.train()
    assert torch.equal(resumed.model.line.weight, straight.model.line.weight)
    assert signal.getsignal(sent) == signal.SIG_DFL, "given back when training is done"


def test_workers_of_the_loader_live_through_it(tmp_path: Path) -> None:
    """torchrun and SLURM send the signal to all of a rank's processes."""

    class SendsToAll(Sends):
        def on_step_begin(self, args, state, control, **kwargs) -> None:
            if state.global_step == self.step:
                workers = psutil.Process().children()
                assert workers
                for one in (*workers, psutil.Process()):
                    one.send_signal(self.sent)

    stopped = trainer(tmp_path, SendsToAll(signal.SIGTERM, 1), dataloader_num_workers=1)
    with pytest.raises(SystemExit, match="143"):
        stopped.train()
    assert (tmp_path / "checkpoint-2").is_dir()


def test_ranks_agree_on_the_step() -> None:
    store = torch.distributed.HashStore()
    first, second = SaveOnSignalCallback(), SaveOnSignalCallback()
    assert not first.is_due(4, store) and not second.is_due(4, store)
    first.asked = signal.SIGTERM
    assert not first.is_due(5, store), "the other may have passed this step already"
    second.asked = signal.SIGHUP  # a moment later, for another reason
    assert second.is_due(6, store) and first.is_due(6, store)
    assert first.asked == second.asked == signal.SIGTERM


def test_a_checkpoint_of_an_earlier_step_is_not_the_one() -> None:
    callback = SaveOnSignalCallback()
    callback.asked, callback.step = signal.SIGTERM, 6
    callback.on_save(SimpleNamespace(world_size=2), SimpleNamespace(global_step=5), None)
