"""Both kinds as a rehearsal runs them: a model that is never right still leaves a set, through the stage's own code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mindgpt_data.export import read_set
from scripted import Scripted

from mindgpt_plugins.core.registry import get_registered, load_plugins
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rehearsal import Draft, Room
from mindgpt_plugins.stages.self_training import gold

KINDS = ("rejection_sampling", "preference_pairs")


@pytest.fixture(autouse=True)
def registered_again() -> Iterator[None]:
    """The registry is cleaned after every test; what is registered on import must be imported again."""
    yield
    for kind in KINDS:
        sys.modules.pop(f"mindgpt_plugins.stages.{kind}.rehearsed", None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_never_right_leaves_a_set(
    kind: str, tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = get_registered("stage", kind)()
    settings = {"kind": kind, "model": "base", "prompts": ["world/general"], "rows": 9, "pairs": 9, "samples": 8}
    settings = {key: value for key, value in settings.items() if key in stage.Config.model_fields}
    draft = Draft("again", stage.Config.model_validate(settings).model_dump(mode="json"))
    stage.rehearsal_rules().shrink(draft, Room(lambda _: 16))
    assert draft.settings["kind"] == f"rehearsed_{kind}" and draft.settings["samples"] == 2
    load_plugins(draft.plugins)
    rehearsed = get_registered("stage", draft.settings["kind"])()
    folder = tmp_path / "stage"
    folder.mkdir()
    context = Context("again", folder, {"base": {"model": "BASE"}, "world": {"datasets": str(world)}}, seed=0)
    config = rehearsed.Config.model_validate(draft.settings)
    (command,) = rehearsed.render(config, context)
    _, module, run, name = command.argv
    assert module == "mindgpt_plugins.stages.self_training.gold"
    monkeypatch.setattr(gold, "make_lazy_engine", Scripted(lambda prompt, sample: "answer: blue"))
    gold.main(run, folder / name)
    rows = read_set(folder / "datasets", "restore") if kind == "rejection_sampling" else None
    assert json.loads((folder / "summary.json").read_text())["rows" if rows else "pairs"] > 0
    assert rows is None or {row.response for row in rows} == {"it is red. answer: red"}
    # Its rules are those of the kind that it stands for.
    assert type(rehearsed.rehearsal_rules()) is type(stage.rehearsal_rules())
