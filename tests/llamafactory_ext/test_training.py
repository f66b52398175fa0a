"""Real LLaMA-Factory training of a tiny model: what a split of the step, a kill or no section of ours changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lf_assets import command, distance, environment, host_config, metrics, train
from support.process_table import describe_left, mark_environment, wait_until

from mindgpt_plugins.core.process import start_command, stop_command
from mindgpt_plugins.curriculum.base import Examples
from mindgpt_plugins.curriculum.easy_to_hard import EasyToHard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SECTION = {
    "curriculum": {"name": "easy_to_hard", "options": {"pacing": "linear", "start": 0.2}},
    "loss": {"name": "weighted_ce", "options": {"weights": {"domain": 2.0}}},
}
SPLITS = {
    "bs4": {},
    "bs2-ga2": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
    "bs1-ga4-worker": {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 4,
        "dataloader_num_workers": 1,
    },
    "bs2-ranks2": {"per_device_train_batch_size": 2},
}


@pytest.fixture(scope="module")
def splits(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same six SGD steps, each optimizer step cut up in another way."""
    out = tmp_path_factory.mktemp("splits")
    done = {}
    for name, change in SPLITS.items():
        section = {**SECTION, "trace": str(out / f"{name}-trace")}
        sets = "domain,general,plain"
        config = host_config(world, out / name, optim="sgd", learning_rate=0.1, dataset=sets, mindgpt=section, **change)
        ranks = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"} if name.endswith("ranks2") else {}
        done[name] = train(config, **ranks)
    return done


@pytest.mark.parametrize("name", [name for name in SPLITS if name != "bs4"])
def test_the_split_of_a_step_does_not_change_the_weights(splits: dict[str, Path], world: Path, name: str) -> None:
    moved = distance(splits["bs4"], world / "model")
    apart = distance(splits["bs4"], splits[name])
    print(f"{name}: {apart:.2e} apart after moving {moved:.2e}")
    assert moved > 1e-2
    assert apart <= 1e-6


def test_every_step_consumes_what_the_sampler_says(splits: dict[str, Path], world: Path) -> None:
    rows = [
        row for name in ("domain", "general", "plain") for row in json.loads((world / f"data/{name}.json").read_text())
    ]
    names = ("domain", "general", "plain")
    examples = Examples([names.index(r["source"]) for r in rows], names, [r["difficulty"] for r in rows])
    order = EasyToHard(examples, 1, pacing="linear", start=0.2).order(0)
    expected = [[rows[i]["uid"] for i in order[4 * step : 4 * step + 4]] for step in range(6)]
    for name, output in splits.items():
        seen: dict[int, list[str]] = {}
        for path in sorted(output.parent.glob(f"{name}-trace.rank*.jsonl")):
            for line in path.read_text().splitlines():
                seen.setdefault(json.loads(line)["step"], []).extend(json.loads(line)["uid"])
        assert [sorted(seen[step]) for step in range(1, 7)] == [sorted(step) for step in expected]


def test_metrics_agree_between_splits(splits: dict[str, Path]) -> None:
    lines = {name: metrics(folder) for name, folder in splits.items()}
    assert [line["step"] for line in lines["bs4"]] == [1, 2, 3, 4, 5, 6]
    for name in SPLITS:
        for one, other in zip(lines["bs4"], lines[name], strict=True):
            assert one["total"] == other["total"] == 6
            assert one["tokens/domain"] == other["tokens/domain"]
            for key in ("loss", "loss/domain", "loss/general", "loss/plain", "difficulty", "lr"):
                assert other[key] == pytest.approx(one[key], rel=1e-4), (name, key)


def test_without_the_section_it_is_the_stock_command(world: Path, tmp_path: Path) -> None:
    stock = train(host_config(world, tmp_path / "stock", optim="sgd"), module="llamafactory.cli")
    ours = train(host_config(world, tmp_path / "ours", optim="sgd"))
    assert distance(stock, ours) == 0.0
    assert not (ours / "metrics.jsonl").exists()
    split = train(host_config(world, tmp_path / "split", optim="sgd", **SPLITS["bs2-ga2"]), module="llamafactory.cli")
    # The reason for a loss of our own: the host averages micro-batch means, so a split changes what is learned.
    assert distance(stock, split) > 1e-4


def killed_at(config: dict[str, Any], step: int, **env: str) -> None:
    """Start training and ``kill -9`` it once ``metrics.jsonl`` has reached ``step``."""
    path = Path(config["output_dir"]) / "metrics.jsonl"
    process = subprocess.Popen(
        command(config),
        env=environment(HF_DATASETS_CACHE=config["output_dir"] + "-cache", **env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and (not path.is_file() or path.read_text().count("\n") < step):
        time.sleep(0.005)
    assert process.poll() is None, "training ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1.0)  # ranks follow their launcher
    settled = path.read_text()
    time.sleep(0.5)
    assert path.read_text() == settled, "a rank outlived its launcher"


RESUME = {"max_steps": 40, "save_steps": 4, "save_total_limit": 3, "lr_scheduler_type": "linear"}


def test_killed_and_resumed_equals_the_straight_run(world: Path, tmp_path: Path) -> None:
    section = {**SECTION, "mixture": {"name": "fixed", "options": {"weights": {"domain": 0.7, "general": 0.3}}}}
    straight = train(host_config(world, tmp_path / "straight", mindgpt=section, **RESUME))
    config = host_config(world, tmp_path / "killed", mindgpt=section, **RESUME)
    killed_at(config, 15)
    output = Path(config["output_dir"])
    newest = max(output.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (newest / "trainer_state.json").unlink(missing_ok=True)  # as if the kill had come while it was being saved
    torn = (newest / "optimizer.pt").read_bytes()
    (newest / "optimizer.pt").write_bytes(torn[: len(torn) // 2])
    done = subprocess.run(command(config), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{newest.name} is not whole" in done.stdout.replace(f"{output}/", "")
    assert distance(straight, output) == 0.0
    assert {path.name for path in output.iterdir()} == {path.name for path in straight.iterdir()}
    timeless = [
        [{k: v for k, v in line.items() if k != "seconds_per_step"} for line in metrics(folder)]
        for folder in (straight, output)
    ]
    assert timeless[0] == timeless[1]
    again = train(config)  # killed after the last step, say: nothing is trained twice
    assert distance(straight, again) == 0.0
    assert len(metrics(again)) == 40


def test_two_ranks_killed_and_resumed(world: Path, tmp_path: Path) -> None:
    ranks = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}
    change = {**RESUME, "per_device_train_batch_size": 2, "dataloader_num_workers": 1}
    straight = train(host_config(world, tmp_path / "straight", mindgpt=SECTION, **change), **ranks)
    config = host_config(world, tmp_path / "killed", mindgpt=SECTION, **change)
    killed_at(config, 18, **ranks)
    assert distance(straight, train(config, **ranks)) == 0.0


@pytest.mark.parametrize("ranks", [{}, {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}], ids=["process", "ranks"])
def test_told_to_end_it_saves_and_goes_on_as_the_straight_run(
    world: Path, tmp_path: Path, ranks: dict[str, str]
) -> None:
    change = {**RESUME, "save_steps": 100, "dataloader_num_workers": 1}
    change |= {"per_device_train_batch_size": 4 // max(1, len(ranks))}
    straight = train(host_config(world, tmp_path / "straight", mindgpt=SECTION, **change), **ranks)
    config = host_config(world, tmp_path / "told", mindgpt=SECTION, **change)
    output = Path(config["output_dir"])
    mark = mark_environment(environment(HF_DATASETS_CACHE=str(tmp_path / "cache"), **ranks))
    child = start_command(command(config), folder=tmp_path, env=mark)
    assert wait_until(lambda: child.poll() is not None or (output / "metrics.jsonl").is_file(), 300)
    stop_command(child)
    log = (tmp_path / "log.txt").read_text()
    assert child.returncode == 143 and "mindgpt: SIGTERM: saved checkpoint-" in log, log[-3000:]
    assert describe_left(mark) == []
    (saved,) = output.glob("checkpoint-*")
    assert 0 < int(saved.name.removeprefix("checkpoint-")) < 40 and not (output / "model.safetensors").exists()
    assert distance(straight, train(config, **ranks)) == 0.0


def test_resume_with_other_data_is_refused(world: Path, tmp_path: Path) -> None:
    config = host_config(world, tmp_path / "run", mindgpt=SECTION, max_steps=2, save_steps=1)
    train(config)
    config.update(dataset="domain", max_steps=4)
    done = subprocess.run(command(config), env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert "mindgpt: error: the checkpoint's" in done.stderr


@pytest.mark.parametrize("finetuning", ["full", "lora"])
def test_kl_anchor_starts_at_zero_with_images(world: Path, tmp_path: Path, finetuning: str) -> None:
    section = {"kl": {"sources": ["general"], "beta": 0.5}}
    lora = {"lora_rank": 4, "lora_target": "all"} if finetuning == "lora" else {}
    output = train(
        host_config(world, tmp_path / "run", mindgpt=section, finetuning_type=finetuning, max_steps=4, **lora)
    )
    anchored = [line["kl/general"] for line in metrics(output)]
    assert anchored[0] == 0.0
    assert anchored[-1] > 0.0
    assert "kl/domain" not in metrics(output)[0]


def test_dpo_with_mpo_weights_killed_and_resumed(world: Path, tmp_path: Path) -> None:
    pairs = {
        "stage": "dpo",
        "dataset": "pairs",
        "pref_beta": 0.1,
        "pref_bco_weight": 0.25,
        "pref_ftx": 1.0,
        "learning_rate": 1e-3,
        "save_steps": 3,
        "max_steps": 24,
    }
    section = {"curriculum": "easy_to_hard"}
    straight = train(host_config(world, tmp_path / "straight", mindgpt=section, **pairs))
    first = metrics(straight)[0]
    assert first["rewards/accuracies"] == 0.0  # the policy is the reference
    assert {"rewards/margins", "rewards/chosen", "logps/chosen", "difficulty", "loss", "lr"} <= first.keys()
    assert metrics(straight)[-1]["rewards/margins"] > 0
    config = host_config(world, tmp_path / "killed", mindgpt=section, **pairs)
    killed_at(config, 8)
    assert distance(straight, train(config)) == 0.0


def test_a_missing_column_is_one_line_that_names_the_dataset(world: Path, tmp_path: Path) -> None:
    config = host_config(world, tmp_path / "run", mindgpt={**SECTION, "columns": {"difficulty": "hardness"}})
    done = subprocess.run(command(config), env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    error = [line for line in done.stderr.splitlines() if line.startswith("mindgpt: error:")]
    assert len(error) == 1
    assert "dataset 'domain': column 'hardness' does not exist" in error[0]


def test_the_users_own_yaml_through_mindgpt(world: Path, tmp_path: Path) -> None:
    config = host_config(world, tmp_path / "run", max_steps=2, mindgpt=SECTION)
    path = command(config)[-1]
    overridden = "mindgpt.curriculum.options.pacing=root"
    done = subprocess.run(
        [sys.executable, "-m", "mindgpt_plugins.cli", "llamafactory", "train", path, overridden, "max_steps=3"],
        env={**environment(), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(metrics(Path(config["output_dir"]))) == 3
    assert '"pacing":"root"' in done.stdout
