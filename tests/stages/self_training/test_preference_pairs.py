from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import read_preference_set
from scripted import Scripted

from mindgpt_plugins.answers import judge_answer
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.generation.hf_engine import Prompt
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.preference_pairs.config import PreferencePairsConfig
from mindgpt_plugins.stages.preference_pairs.run import run
from mindgpt_plugins.stages.self_training.prompts import SelfTrainingError

LONG = "i look at it for a long time and see that it is red. answer: red"


def render(tmp_path: Path, world: Path, **keys: Any) -> Path:
    folder = tmp_path / "stage"
    folder.mkdir()
    inputs = {"model": {"model": "M"}, "world": {"datasets": str(world)}}
    config = PreferencePairsConfig.model_validate(
        {"kind": "preference_pairs", "model": "model", "prompts": ["world/general"], **keys}
    )
    (command,) = get_registered("stage", "preference_pairs")().render(config, Context("pp", folder, inputs, seed=0))
    return folder / command.argv[2]


def everything(prompt: Prompt, sample: int) -> str:
    """Right, long and right, wrong in turn; without the image always wrong."""
    if prompt.blank:
        return f"{prompt.prefix} it is blue. answer: blue".strip()
    return ("it is red. answer: red", LONG, "it is green. answer: green")[sample % 3]


def only_right(prompt: Prompt, sample: int) -> str:
    return "it is red. answer: red" if sample % 2 else LONG


def right(reply: str) -> bool:
    return judge_answer("", "red", reply, "text").right


def test_kinds_come_in_their_shares_and_keep_their_promises(tmp_path: Path, world: Path) -> None:
    config = render(tmp_path, world)
    summary = run(config, Scripted(everything))
    pairs = read_preference_set(config.parent / "datasets", "align")
    assert Counter(p.pair_kind for p in pairs) == {"right_wrong": 10, "grounded_blind": 5, "concise_verbose": 5}
    for pair in pairs:
        assert right(pair.chosen)
        assert right(pair.rejected) == (pair.pair_kind == "concise_verbose")
        if pair.pair_kind == "concise_verbose":
            assert len(pair.rejected) > 1.3 * len(pair.chosen)
        if pair.pair_kind == "grounded_blind":
            assert pair.rejected.startswith("it is")  # half of the chosen reply's words
        assert (config.parent / "datasets" / pair.row.image[0]).is_file()
    assert (summary["pairs"], summary["short"]) == (20, 0)


def test_a_kind_without_candidates_is_filled_and_reported(
    tmp_path: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run(render(tmp_path, world), Scripted(only_right))
    assert summary["kinds"]["right_wrong"] == {
        "wanted": 10,
        "candidates": 0,
        "taken": 0,
        "filled_in": 0,
        "missing": 10,
    }
    assert summary["kinds"]["concise_verbose"]["filled_in"] > 0
    assert "only 0 of 10 wanted right_wrong pairs" in capsys.readouterr().out


def test_what_cannot_be_filled_is_counted_as_short(tmp_path: Path, world: Path) -> None:
    summary = run(render(tmp_path, world, pairs=100), Scripted(everything))
    assert summary["pairs"] == 60 and summary["short"] == 40  # at most one pair per prompt and kind


def test_a_kind_with_share_zero_is_not_made(tmp_path: Path, world: Path) -> None:
    engine = Scripted(everything)
    shares = {"right_wrong": 1, "grounded_blind": 0, "concise_verbose": 0}
    summary = run(render(tmp_path, world, shares=shares), engine)
    assert summary["kinds"]["right_wrong"]["taken"] == 20
    assert len(engine.asked) == 20  # no continuation without the image was asked for


def test_a_killed_run_resumes_without_asking_again(tmp_path: Path, world: Path) -> None:
    config = render(tmp_path, world, batch_size=16)
    killed = Scripted(everything, die_after=22)
    with pytest.raises(KeyboardInterrupt):
        run(config, killed)
    resumed = Scripted(everything)
    summary = run(config, resumed)
    assert len(killed.asked) + len(resumed.asked) == 40
    again = tmp_path / "again"
    again.mkdir()
    assert summary == run(render(again, world, batch_size=16), Scripted(everything))


def test_no_pair_at_all_stops_with_advice(tmp_path: Path, world: Path) -> None:
    with pytest.raises(SelfTrainingError, match="gave no preference pair"):
        run(render(tmp_path, world), Scripted(lambda prompt, sample: "answer: blue"))
