"""The stage renders two plain JSON files for two processes, and sees trouble before either runs."""

import json
from pathlib import Path
from typing import Any

from mindgpt_data.schema.config import DataSettings
from mindgpt_data.world.config import WorldSettings

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.world.config import WorldConfig
from mindgpt_plugins.stages.world.stage import WorldStage

SETS = {
    "t": {"verbose": 0.2, "sources": {"general": {"images": 4, "items": 8}, "domain": {"images": 2}}},
    "dev": {"split": "dev", "sources": {"domain": {"images": 4}}},
}


def config(**more: Any) -> WorldConfig:
    return WorldConfig.model_validate({"kind": "world", "sets": SETS, **more})


def test_render_writes_what_the_two_processes_read(tmp_path: Path) -> None:
    context = Context("world", tmp_path, {}, 7)
    scenes, steps = WorldStage().render(config(), context)
    assert scenes.argv[:2] == ("-m", "mindgpt_data.world")
    written = json.loads(Path(scenes.argv[2]).read_text())
    assert written["seed"] == 7
    assert WorldSettings.model_validate(written["settings"]) == WorldSettings.model_validate({"sets": SETS})
    assert steps.argv[:2] == ("-m", "mindgpt_data")
    told = json.loads(Path(steps.argv[2]).read_text())
    assert told["seed"] == 7
    assert told["datasets"] == WorldStage().artefacts(config(), context)["datasets"]
    runs = {Path(run["work"]).name: DataSettings.model_validate(run["settings"]) for run in told["runs"]}
    assert list(runs) == ["dev", "t"], "held-out sets come first"
    assert Path(runs["t"].images.path).is_relative_to(written["corpora"])
    assert runs["t"].filter.against == (f"{told['datasets']}/dev",)
    assert runs["t"].budget.sources == {"general": 8}
    assert runs["t"].generate.verbose == 0.2
    assert runs["dev"].filter.against == ()
    assert (runs["dev"].export.name, runs["dev"].export.split) == ("dev", "dev")


def test_check_sees_trouble_before_anything_runs(tmp_path: Path) -> None:
    context = Context("world", tmp_path, {}, 0, max_pixels=96 * 96)
    assert WorldStage().check(config(), context) == []
    problems = WorldStage().check(config(world={"size": 128}, budget={"n_max": 1}), context)
    assert len(problems) == 2
    assert "rescaled" in problems[0]
    assert "between 4 and 4" in problems[1]
    problems = WorldStage().check(config(density={"estimator": "pixel"}, gates=["rules", "duplicate"]), context)
    assert len(problems) == 2
    assert "did you mean 'pixels'" in problems[0]
    assert "did you mean 'duplicates'" in problems[1]
