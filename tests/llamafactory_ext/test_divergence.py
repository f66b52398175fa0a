"""Our half of LLaMA-Factory's trainers at a loss that is not finite; real trainings with an absurd learning rate."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lf_assets import command, environment, host_config, metrics

from mindgpt_plugins.guards.divergence import TrainingDiverged, read_divergence
from mindgpt_plugins.llamafactory_ext.callback import HostTrainerCallback
from mindgpt_plugins.llamafactory_ext.guest import HostTrainerMixin, TrainingRun
from mindgpt_plugins.llamafactory_ext.settings import LlamaFactorySettingsError, Section, check_host_arguments

NAN = float("nan")


class Host:
    """Stands where LLaMA-Factory's trainer stands."""

    def log(self, logs: dict[str, float]) -> None:
        self.logged = logs


class Trainer(HostTrainerMixin, Host):  # type: ignore[misc]
    def __init__(self, folder: Path, ranks: int = 1, fp16: bool = False, others: float = 0.0):
        self.args = SimpleNamespace(
            output_dir=str(folder / "model"), fp16=fp16, bf16=False, learning_rate=0.1, max_grad_norm=1.0
        )
        self.state = SimpleNamespace(global_step=3, max_steps=9)
        self.waited = False
        self.accelerator = SimpleNamespace(
            device="cpu",
            num_processes=ranks,
            reduce=lambda value, how: value + others,
            wait_for_everyone=lambda: setattr(self, "waited", True),
        )
        self.run = TrainingRun(Section(metrics_path=str(folder / "metrics.jsonl")))
        self.sources, self._uids = (), []
        self._sums, self._difficulty = torch.zeros(0, 3), torch.zeros(2)
        self._rows = (3, ["b", "a", "b"])
        self.monitor = self._build_monitor()

    def is_world_process_zero(self) -> bool:
        return True


def test_a_loss_that_is_not_finite_stops_every_rank_after_the_record_is_written(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer.log({"loss": 2.0, "grad_norm": 1.0})
    with pytest.raises(TrainingDiverged, match=r"(?s)loss is nan at step 3 of 9.*lr: 0.01 \(now 0.1\).*max_grad_norm"):
        trainer.log({"loss": NAN, "grad_norm": 1.0})
    assert trainer.waited and trainer.logged["loss"] != trainer.logged["loss"]  # the line was written before
    found = read_divergence(tmp_path)
    assert found is not None and found.rows == ("a", "b")


def test_evaluations_and_summaries_are_not_judged(tmp_path: Path) -> None:
    Trainer(tmp_path).log({"eval_loss": NAN})
    Trainer(tmp_path).log({"train_loss": NAN})


def test_the_search_for_a_loss_scale_is_no_divergence(tmp_path: Path) -> None:
    Trainer(tmp_path, fp16=True).log({"loss": 2.0, "grad_norm": float("inf")})
    with pytest.raises(TrainingDiverged, match="grad_norm is inf"):
        Trainer(tmp_path).log({"loss": 2.0, "grad_norm": float("inf")})


def test_a_rank_stops_with_another_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="of another rank is not finite"):
        Trainer(tmp_path, ranks=2, others=1.0).log({"loss": 2.0, "grad_norm": 1.0})


def test_what_is_saved_is_logged_and_so_judged_before(tmp_path: Path) -> None:
    callback = HostTrainerCallback(SimpleNamespace(feedback=None), tmp_path / "metrics.jsonl")
    for event in (callback.on_step_end, callback.on_epoch_end):
        for saves in (True, False):
            control = SimpleNamespace(should_save=saves, should_log=False)
            event(None, SimpleNamespace(global_step=1), control)
            assert control.should_log == saves


def test_the_hosts_filter_of_nan_is_refused() -> None:
    with pytest.raises(LlamaFactorySettingsError, match="logging_nan_inf_filter"):
        check_host_arguments(Section(), {"logging_nan_inf_filter": True}, {})


def start(world: Path, output: Path, ranks: int = 1, **changes: Any) -> subprocess.CompletedProcess[str]:
    changes = {"learning_rate": 1e30, "save_steps": 1, "max_steps": 6, "mindgpt": {}, **changes}
    extra = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": str(ranks)} if ranks > 1 else {}
    return subprocess.run(
        command(host_config(world, output, **changes)),
        env=environment(HF_DATASETS_CACHE=f"{output}-cache", **extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "changes",
    [{}, {"stage": "dpo", "dataset": "pairs", "pref_ftx": 1.0}, {"logging_steps": 4, "save_steps": 3}, {"ranks": 2}],
    ids=["sft", "dpo", "sparse", "ranks"],
)
def test_training_with_an_absurd_rate_stops(world: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    done = start(world, tmp_path / "out", **changes)
    assert done.returncode != 0, done.stdout[-3000:]
    found = read_divergence(tmp_path / "out")
    assert found is not None, done.stdout[-3000:]
    last = metrics(tmp_path / "out")[-1]
    assert last["loss"] is None or last["grad_norm"] is None
    assert last["step"] == found.step == (3 if "logging_steps" in changes else 2)
    assert f"at step {found.step} of 6" in done.stdout and "Try a lower learning rate" in done.stdout
    left = sorted(path.name for path in (tmp_path / "out").glob("*checkpoint-*"))
    assert left == ([] if "logging_steps" in changes else ["diverged-checkpoint-1"])
    assert not (tmp_path / "out" / "model.safetensors").exists()


BREAKING = """
import os
from dataclasses import replace
from mindgpt_plugins.core.registry import register
from mindgpt_plugins.losses.weighted_ce import WeightedCE

@register("loss", "breaking")
class Breaking(WeightedCE):
    linear = property()  # no such method: logits are made
    calls = int(os.environ.get("CALLS", "99"))

    def __call__(self, *args):
        self.calls -= 1
        loss = super().__call__(*args)
        return replace(loss, total=loss.total * float("nan" if self.calls < 0 else 1))
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_run_that_diverges_late_goes_on_from_its_last_good_checkpoint(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    section = {"plugins": [str(tmp_path / "breaking.py")], "loss": {"name": "breaking"}}
    settings = {"learning_rate": 1e-3, "mindgpt": section}
    out = tmp_path / "out"
    monkeypatch.setenv("CALLS", "4")
    assert start(world, out, **settings).returncode == 2
    found = read_divergence(out)
    assert found is not None and (found.found, found.step, found.finite) == ("loss is nan", 5, 4)
    assert found.aside == ("diverged-checkpoint-4",) and found.checkpoint == str(out / "checkpoint-3")
    monkeypatch.delenv("CALLS")  # the machine's fault, say
    done = start(world, out, **settings)
    assert done.returncode == 0, done.stdout[-3000:]
    assert [line["step"] for line in metrics(out) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert all(line["loss"] for line in metrics(out) if "loss" in line)
    assert read_divergence(out) is None
