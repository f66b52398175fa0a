import json
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.world.config import WorldConfig
from mindgpt_plugins.stages.world.stage import WorldStage


def config(**more: Any) -> WorldConfig:
    sets = {"t": {"sources": {"general": {"images": 4, "items": 8}}}}
    return WorldConfig.model_validate({"kind": "world", "sets": sets, **more})


def test_render_writes_what_the_process_reads(tmp_path: Path) -> None:
    context = Context("world", tmp_path, {}, 7)
    (command,) = WorldStage().render(config(), context)
    assert command.argv[:2] == ("-m", "mindgpt_data.world")
    written = json.loads(Path(command.argv[2]).read_text())
    assert written["seed"] == 7
    assert "kind" not in written["settings"]
    assert WorldStage().artefacts(config(), context)["datasets"] == written["folder"]


def test_check_sees_trouble_before_anything_runs(tmp_path: Path) -> None:
    context = Context("world", tmp_path, {}, 0, max_pixels=96 * 96)
    assert WorldStage().check(config(), context) == []
    problems = WorldStage().check(
        config(world={"size": 128}, density={"estimator": "pixel"}, budget={"n_max": 1}), context
    )
    assert len(problems) == 3
    assert "rescaled" in problems[0]
    assert "did you mean 'pixels'" in problems[1]
    assert "between 4 and 4" in problems[2]
