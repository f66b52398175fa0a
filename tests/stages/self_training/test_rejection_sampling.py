from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import read_set
from scripted import Scripted

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.generation.hf_engine import Prompt
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rejection_sampling.config import RejectionSamplingConfig
from mindgpt_plugins.stages.rejection_sampling.run import run
from mindgpt_plugins.stages.self_training.prompts import SelfTrainingError


def render(tmp_path: Path, world: Path, **keys: Any) -> Path:
    folder = tmp_path / "stage"
    folder.mkdir()
    inputs = {"base": {"model": "BASE"}, "tuned": {"model": "TUNED"}, "world": {"datasets": str(world)}}
    config = RejectionSamplingConfig.model_validate(
        {"kind": "rejection_sampling", "model": "base", "prompts": ["world/general"], "batch_size": 16, **keys}
    )
    (command,) = get_registered("stage", "rejection_sampling")().render(config, Context("rs", folder, inputs, seed=0))
    assert command.argv[1] == "mindgpt_plugins.stages.rejection_sampling"
    return folder / command.argv[2]


def right_from(first: int) -> Any:
    """Prompts g<first>… are answered right in two ways; the ones before never."""

    def script(prompt: Prompt, sample: int) -> str:
        if int(prompt.key[1:]) < first:
            return "answer: blue"
        return ("answer: red", "it is red. answer: red", "answer: red")[sample % 3]

    return script


def test_only_right_answers_are_kept(tmp_path: Path, world: Path) -> None:
    summary = run(render(tmp_path, world), Scripted(right_from(5)))
    rows = read_set(tmp_path / "stage/datasets", "restore")
    assert {r.uid for r in rows} == {f"g{i}" for i in range(5, 20)}
    assert all(r.response == "answer: red" for r in rows)  # the most frequent right reply
    assert (summary["accepted"], summary["dropped"]["no right answer"]) == (15, 5)
    assert summary["acceptance"] == {"perception.colour": 0.7, "perception.shape": 0.8}
    assert (tmp_path / "stage/datasets" / rows[0].image[0]).is_file()
    assert all(r.difficulty == pytest.approx(1 - (8 + 2 * p) / 10) for r in rows for p in [_mean(r.capability)])


def _mean(capability: str) -> float:
    return {"perception.colour": 0.7, "perception.shape": 0.8}[capability]


def test_prompts_that_tuning_lost_are_drawn_more(tmp_path: Path, world: Path) -> None:
    config = render(tmp_path, world, after="tuned", rows=20, keep_per_prompt=2)

    def engines(settings: Any) -> Any:
        # The tuned model forgot g0 … g9.
        return Scripted(right_from(0 if settings.model == "BASE" else 10))(settings)

    summary = run(config, engines)
    drawn = Counter(r.uid.partition("#")[0] for r in read_set(config.parent / "datasets", "restore"))
    lost = sum(drawn[f"g{i}"] for i in range(10))
    assert lost >= 15 and sum(drawn.values()) == 20
    assert summary["solve_rate"] == pytest.approx({"before": 1.0, "after": 0.5})
    rows = {r.uid: r.response for r in read_set(config.parent / "datasets", "restore")}
    double = next(uid for uid in rows if "#2" in uid)
    assert rows[double] != rows[double.removesuffix("#2")]  # distinct replies before repeats
    assert summary["repeated"] == 0


def test_replay_takes_its_share_and_repeats_what_is_too_small(tmp_path: Path, world: Path) -> None:
    config = render(tmp_path, world, replay=[{"data": "world/domain", "share": 0.5}])
    summary = run(config, Scripted(right_from(0)))
    rows = read_set(config.parent / "datasets", "restore")
    assert Counter(r.source for r in rows) == {"general": 20, "domain": 20}
    assert summary["replay"] == [{"data": "domain", "rows": 20, "available": 5, "repeated": 15}]


def test_a_killed_run_resumes_without_asking_again(tmp_path: Path, world: Path) -> None:
    config = render(tmp_path, world, samples=8)
    killed = Scripted(right_from(5), die_after=6)
    with pytest.raises(KeyboardInterrupt):
        run(config, killed)
    samples = config.parent / "samples/before.jsonl"
    samples.write_bytes(samples.read_bytes()[:-7])  # the last line is torn
    resumed = Scripted(right_from(5))
    summary = run(config, resumed)
    assert len(killed.asked) == 6 and set(resumed.asked) & set(killed.asked) == {"g4", "g5"}  # the torn batch of two
    assert len(set(resumed.asked)) == len(resumed.asked) == 16
    again = tmp_path / "again"
    again.mkdir()
    assert summary == run(render(again, world, samples=8), Scripted(right_from(5)))
    for name in ("restore.json", "restore.jsonl"):
        assert (config.parent / "datasets" / name).read_bytes() == (again / "stage/datasets" / name).read_bytes()
    steps = [json.loads(line)["step"] for line in (config.parent / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(2, 21, 2))


def test_no_right_answer_at_all_stops_with_advice(tmp_path: Path, world: Path) -> None:
    with pytest.raises(SelfTrainingError, match="none of 20 prompts × 8 answers is right"):
        run(render(tmp_path, world), Scripted(right_from(99)))


def test_replay_shares_must_leave_room() -> None:
    settings = {"kind": "rejection_sampling", "model": "m", "prompts": ["w/g"]}
    with pytest.raises(ValueError, match="add up to 1.2"):
        RejectionSamplingConfig.model_validate({**settings, "replay": [{"data": "w/d", "share": 0.6}] * 2})
