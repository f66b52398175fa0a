"""The runner and divergence: unsound weights are no artefact, a stopped stage stays stopped, warnings are shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.metrics import append_record
from mindgpt_plugins.core.schema import dump_hashed
from mindgpt_plugins.guards.divergence import Divergence, write_divergence
from mindgpt_plugins.pipeline import plan, runner, soundness
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.stages.sft.config import SFTConfig

Write = Callable[..., Path]


def make(path: Path, **options: object) -> plan.Plan:
    return plan.make_run_plan(load_recipe(str(path), []), path.parent / "runs", **options)  # type: ignore[arg-type]


def run(path: Path, **options: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    runner.run_plan(make(path, **options), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def make_sft(**changes: object) -> SFTConfig:
    return SFTConfig.model_validate({"kind": "sft", "model": "m", "data": ["d/s"], "max_steps": 2, **changes})


def test_a_stage_whose_weights_are_unsound_is_not_done_and_stays_stopped(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}\nb: {kind: toy, model: a}")
    folder = make(path).stages[0].folder
    (folder / "model").mkdir(parents=True)
    save_file({"w": torch.tensor([1.0, float("nan")]), "v": torch.ones(3)}, folder / "model" / "model.safetensors")
    with pytest.raises(
        StageError, match=r"(?s)'a' made weights of no use: model: 1 of 2 tensors.*first w in .*--fresh"
    ):
        run(path)
    assert not (folder / "artefacts.json").exists()
    stages = make(path).stages
    assert stages[0].status == "resume" and stages[0].reason.startswith("was stopped: model: 1 of 2 tensors hold inf")
    worked = (folder / "work.txt").read_text()
    with pytest.raises(StageError, match="'a' was stopped before: model: 1 of 2"):
        run(path)
    assert (folder / "work.txt").read_text() == worked  # nothing was started
    assert "b: done" in run(path, fresh=True)


def test_a_stop_is_shown_in_place_of_the_end_of_the_log(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy, fail: true}")
    plugin = path.with_name("toy_plugin.py")
    record = Divergence(found="loss is nan", step=7, total=9, finite=6, checkpoint="/x/checkpoint-5", advice=("less",))
    stop = f"pathlib.Path('diverged.json').write_text({record.model_dump_json()!r}); sys.exit('ValueError"
    plugin.write_text(
        plugin.read_text().replace('sys.exit("ValueError', stop).replace('told to fail")', "told to fail')")
    )
    with pytest.raises(
        StageError, match=r"(?s)'a' was stopped: loss is nan at step 7 of 9.*/x/checkpoint-5.*Try less"
    ) as e:
        run(path)
    assert "told to fail" not in str(e.value)


def test_a_stage_that_its_guard_stopped_goes_on_with_another_guard(tmp_path: Path) -> None:
    before = make_sft(guard={"loss_spike": "stop"})
    write_divergence(tmp_path, Divergence(found="a spike", step=3, guard=before.guard.model_dump(mode="json")))
    with pytest.raises(StageError, match="a spike at step 3"):
        soundness.refuse_diverged_stage("a", before, tmp_path)
    soundness.refuse_diverged_stage("a", make_sft(guard={"loss_spike": "warn"}), tmp_path)
    assert not (tmp_path / "diverged.json").exists()
    write_divergence(tmp_path, Divergence(found="loss is nan", step=3))
    with pytest.raises(StageError, match="loss is nan"):
        soundness.refuse_diverged_stage("a", make_sft(guard={"loss_spike": "ignore"}), tmp_path)


def test_a_guard_does_not_change_what_is_computed() -> None:
    settings = [dump_hashed(make_sft(guard={"loss_spike": action})) for action in ("stop", "ignore")]
    assert settings[0] == settings[1]


def test_warnings_are_shown_once(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}")
    folder = make(path).stages[0].folder
    folder.mkdir(parents=True)
    for step in (2, 5):
        line = {"step": step, "total": 9, "guard": "loss_spike", "text": "loss 9 is a spike"}
        append_record(folder / "warnings.jsonl", line)
    shown = run(path)
    for step in (2, 5):
        assert shown.count(f"a: warning: step {step}: loss 9 is a spike (guard.loss_spike)") == 1
