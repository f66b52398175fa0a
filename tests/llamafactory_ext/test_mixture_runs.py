"""Real LLaMA-Factory runs of a tiny model under moving mixtures and self-pacing: the order is the declared one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lf_assets import command, distance, environment, host_config, metrics, train

from mindgpt_plugins.curriculum.base import Clock, Sampler
from mindgpt_plugins.curriculum.bucketed import measure_padding_share
from mindgpt_plugins.curriculum.mixture import MixtureChange
from mindgpt_plugins.llamafactory_ext.ordering import Loader, build_section_sampler
from mindgpt_plugins.llamafactory_ext.settings import parse_section

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

NAMES = ("domain", "general", "plain")
SCHEDULED = {
    "curriculum": {"name": "easy_to_hard", "options": {"pacing": "linear", "start": 0.2, "paced_epochs": None}},
    "mixture": {
        "name": "scheduled",
        "options": {"weights": {"domain": {"kind": "linear", "start": 3, "end": 0}, "general": 1}},
    },
}
DYNAMIC = {
    "mixture": {
        "name": "dynamic",
        "options": {"weights": {"domain": 2, "general": 1}, "every": 3, "delay": 4, "scale": 3.0},
    }
}
RANKS = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}


def rows(world: Path, sets: tuple[str, ...]) -> list[dict[str, Any]]:
    return [row for name in sets for row in json.loads((world / f"data/{name}.json").read_text())]


def declared(section: dict[str, Any], data: list[dict[str, Any]], batch: int, steps: int) -> Sampler:
    source = [row["source"] for row in data]
    difficulty = [row["difficulty"] for row in data]
    names = tuple(sorted(set(source)))
    sampler = build_section_sampler(
        parse_section(section), source, source, names, difficulty=difficulty, length=None, seed=1
    )
    sampler.attach(Clock(batch, len(data), steps))
    return sampler


def consumed(trace: Path, steps: int) -> list[list[str]]:
    """Sorted uids of each step, over all ranks."""
    seen: dict[int, list[str]] = {}
    for path in sorted(trace.parent.glob(f"{trace.name}.rank*.jsonl")):
        for line in path.read_text().splitlines():
            seen.setdefault(json.loads(line)["step"], []).extend(json.loads(line)["uid"])
    assert sorted(seen) == list(range(1, steps + 1))
    return [sorted(seen[step]) for step in range(1, steps + 1)]


def expected(sampler: Sampler, loader: Loader, data: list[dict[str, Any]], steps: int) -> list[list[str]]:
    found: list[list[str]] = []
    epoch = 0
    while len(found) < steps:
        found += [sorted(data[p]["uid"] for p in step) for step in loader.steps(sampler.order(epoch))]
        epoch += 1
    return found[:steps]


@pytest.mark.parametrize("way", ["ga2-worker", "ranks2"])
def test_a_schedule_is_followed_within_epochs_and_over_them(world: Path, tmp_path: Path, way: str) -> None:
    trace, steps = tmp_path / "trace", 30  # 48 rows, 4 per step: two epochs and a half
    split = {"per_device_train_batch_size": 2, "dataloader_num_workers": 1}
    if way == "ga2-worker":
        split["gradient_accumulation_steps"] = 2
    section = {**SCHEDULED, "trace": str(trace)}
    config = host_config(world, tmp_path / "run", mindgpt=section, max_steps=steps, **split)
    output = train(config, **(RANKS if way == "ranks2" else {}))
    data = rows(world, NAMES[:2])
    sampler = declared(section, data, 4, steps)
    loader = Loader(2, ranks=2) if way == "ranks2" else Loader(2, accumulation=2)
    assert consumed(trace, steps) == expected(sampler, loader, data, steps)
    lines = metrics(output)
    assert lines[0]["share/domain"] == 0.75
    assert lines[-1]["share/domain"] == 0.0


def recorded_changes(path: Path, names: tuple[str, ...]) -> list[MixtureChange]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [MixtureChange(x["step"], x["from_step"] - 1, tuple(x["shares"][name] for name in names)) for x in lines]


def resumed(config: dict[str, Any], stop: int, **env: str) -> Path:
    """Train to ``stop`` as if killed right after its checkpoint, then go on to the end with the same settings."""
    whole = train(config, **env)
    for checkpoint in whole.glob("checkpoint-*"):
        if int(checkpoint.name.split("-")[1]) > stop:
            for file in sorted(checkpoint.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            checkpoint.rmdir()
    return train(config, **env)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_dynamic_mixture_follows_its_recorded_changes_and_resumes_bit_equal(
    world: Path, tmp_path: Path, ranks: int
) -> None:
    steps, env = 30, RANKS if ranks == 2 else {}
    change = {
        "per_device_train_batch_size": 4 // ranks,
        "dataloader_num_workers": 1,
        "max_steps": steps,
        "save_steps": 7,
        "optim": "sgd",
    }
    runs = {}
    for name in ("straight", "resumed"):
        section = {**DYNAMIC, "trace": str(tmp_path / f"{name}-trace")}
        config = host_config(world, tmp_path / name / "run", mindgpt=section, **change)
        runs[name] = train(config, **env) if name == "straight" else resumed(config, 14, **env)
    data = rows(world, NAMES[:2])
    sampler = declared(DYNAMIC, data, 4, steps)
    before = consumed(tmp_path / "straight-trace", steps)
    assert before != expected(sampler, Loader(4), data, steps)  # the changes did change the order
    sampler.mixture.changes = recorded_changes(runs["straight"] / "mixture.jsonl", NAMES[:2])
    assert len(sampler.mixture.changes) > 3
    assert all(c.measured % 3 == 0 and c.from_step == c.measured + 4 for c in sampler.mixture.changes)
    assert before == expected(sampler, Loader(4 // ranks, ranks=ranks), data, steps)
    assert distance(runs["straight"], runs["resumed"]) == 0.0
    assert consumed(tmp_path / "resumed-trace", steps) == before
    listings = [(folder / "mixture.jsonl").read_text() for folder in runs.values()]
    assert listings[0] == listings[1]


@pytest.mark.parametrize("signal", ["eval_loss", "eval_accuracy"])
def test_development_sets_steer_the_mixture(world: Path, tmp_path: Path, signal: str) -> None:
    probes = {"general": "plain", "domain": "domain"}
    options = {**DYNAMIC["mixture"]["options"], "scale": 9.0, "signal": signal, "probes": probes}
    mixture = {"name": "dynamic", "options": options}
    config = host_config(
        world,
        tmp_path / "run",
        mindgpt={"mixture": mixture},
        max_steps=9,
        eval_dataset="plain,domain",
        eval_on_each_dataset=True,
        eval_strategy="steps",
        eval_steps=3,
        eval_on_start=True,
        compute_accuracy=signal == "eval_accuracy",
    )
    output = train(config)
    lines = [json.loads(line) for line in (output / "mixture.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6, 9]  # step 0 gave the reference
    key = signal.replace("eval_", "eval_plain_")
    logged = {line["step"]: line[key] for line in metrics(output) if key in line}
    assert lines[0]["values"]["general"] == pytest.approx(logged[3], rel=1e-4)
    assert lines[0]["reference"]["general"] == pytest.approx(logged[0], rel=1e-4)


@pytest.mark.parametrize(("by", "ranks"), [("sample", 2), ("source", 1)])
def test_self_pacing_visits_each_sample_once_and_resumes_bit_equal(
    world: Path, tmp_path: Path, by: str, ranks: int
) -> None:
    env = RANKS if ranks == 2 else {}
    change = {"per_device_train_batch_size": 4 // ranks, "max_steps": 36, "save_steps": 8, "optim": "sgd"}
    runs = []
    for name in ("straight", "resumed"):
        section = {
            "curriculum": {"name": "self_paced", "options": {"by": by, "start": 0.05}},
            "trace": str(tmp_path / f"{name}-trace"),
        }
        config = host_config(world, tmp_path / name, mindgpt=section, **change)
        runs.append(train(config, **env) if name == "straight" else resumed(config, 16, **env))
    seen = consumed(tmp_path / "straight-trace", 36)
    for epoch in range(3):
        assert len({uid for step in seen[12 * epoch : 12 * epoch + 12] for uid in step}) == 48
    assert seen[:12] != seen[12:24] != seen[24:]
    assert distance(*runs) == 0.0
    assert consumed(tmp_path / "resumed-trace", 36) == seen


def test_length_grouping_in_a_real_run(world: Path, tmp_path: Path) -> None:
    changes = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "max_steps": 12}
    orders = []
    data = rows(world, NAMES[:2])
    place = {row["uid"]: i for i, row in enumerate(data)}
    for name in ("easy_to_hard", "bucketed"):
        trace = tmp_path / f"{name}-trace"
        train(host_config(world, tmp_path / name, mindgpt={"curriculum": name, "trace": str(trace)}, **changes))
        lines = (tmp_path / f"{name}-trace.rank0.jsonl").read_text().splitlines()
        orders.append([place[uid] for line in lines for uid in json.loads(line)["uid"]])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(48))
    words = [len(row["messages"][1]["content"]) for row in data]
    before, after = (measure_padding_share(order, words, 2) for order in orders)
    assert after < 0.6 * before


def test_resume_on_another_number_of_ranks_goes_on_exactly(world: Path, tmp_path: Path) -> None:
    section = {**SCHEDULED, "trace": str(tmp_path / "trace")}
    common = {"mindgpt": section, "max_steps": 20, "save_steps": 10, "optim": "sgd"}
    straight = train(host_config(world, tmp_path / "straight", **{**common, "mindgpt": SCHEDULED}))
    config = host_config(world, tmp_path / "moved", **common)
    two = {**config, "per_device_train_batch_size": 2}
    train(config)
    for file in sorted((tmp_path / "moved" / "checkpoint-20").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (tmp_path / "moved" / "checkpoint-20").rmdir()
    moved = train(two, **RANKS)
    assert distance(straight, moved) <= 1e-6
    assert (moved / "checkpoint-10").is_dir()
    refused = subprocess.run(
        command({**config, "per_device_train_batch_size": 8, "max_steps": 30}),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2
    assert "samples_per_step: 4 then, 8 now" in refused.stderr


def test_packs_keep_sources_and_difficulty(world: Path, tmp_path: Path) -> None:
    section = {
        "curriculum": {"name": "easy_to_hard", "options": {"pacing": "linear", "start": 0.02}},
        "loss": {"name": "weighted_ce"},
    }
    sums, lines = {}, {}
    for name, packing in (("unpacked", {}), ("packed", {"neat_packing": True, "per_device_train_batch_size": 1})):
        # Nothing is learned, so that both see the same model in whatever order.
        changes = {"max_steps": None, "num_train_epochs": 1, "learning_rate": 0.0, "optim": "sgd", **packing}
        lines[name] = metrics(train(host_config(world, tmp_path / name, mindgpt=section, **changes)))
        sums[name] = [
            (
                sum(x.get(f"tokens/{s}", 0) for x in lines[name]),
                sum(x[f"loss/{s}"] * x[f"tokens/{s}"] for x in lines[name] if f"loss/{s}" in x),
            )
            for s in ("domain", "general")
        ]
    for (tokens, ce), (tokens_packed, ce_packed) in zip(sums["unpacked"], sums["packed"], strict=True):
        assert tokens == tokens_packed
        assert ce == pytest.approx(ce_packed, rel=1e-5)
    assert all(len([key for key in x if key.startswith("tokens/")]) == 1 for x in lines["packed"])  # one source a pack
    difficulty = [x["difficulty"] for x in lines["packed"]]
    half = len(difficulty) // 2
    assert sum(difficulty[:half]) / half < sum(difficulty[half:]) / (len(difficulty) - half)


def test_preference_pairs_follow_a_schedule_and_their_lengths(world: Path, tmp_path: Path) -> None:
    trace, steps = tmp_path / "trace", 12
    section = {"curriculum": {"name": "bucketed", "options": {"window": 2}}, "trace": str(trace)}
    pairs = {"stage": "dpo", "dataset": "pairs", "pref_beta": 0.1, "learning_rate": 1e-3, "max_steps": steps}
    train(host_config(world, tmp_path / "run", mindgpt=section, **pairs))
    data = rows(world, ("pairs",))
    sampler = declared({"curriculum": "easy_to_hard"}, data, 4, steps)
    seen, plain = consumed(trace, steps), expected(sampler, Loader(4), data, steps)
    for first in range(0, steps, 2):  # a window holds what easy_to_hard would show in it
        assert sorted(sum(seen[first : first + 2], [])) == sorted(sum(plain[first : first + 2], []))
    assert seen != plain


def test_streamed_rows_keep_their_sources(world: Path, tmp_path: Path) -> None:
    section = {
        "sources": ["domain", "general"],
        "loss": {"name": "weighted_ce", "options": {"weights": {"domain": 2.0}}},
    }
    streaming = {"streaming": True, "dataloader_num_workers": 1, "accelerator_config": {"dispatch_batches": False}}
    lines = metrics(train(host_config(world, tmp_path / "run", mindgpt=section, buffer_size=48, **streaming)))
    assert len(lines) == 6
    assert sum(line.get("tokens/domain", 0) for line in lines) > 0
    assert sum(line.get("tokens/general", 0) for line in lines) > 0
