import json
from pathlib import Path
from typing import Any

from mindgpt_plugins.pipeline.stage import Context
from mindgpt_plugins.pipeline.stages.data import DataStage
from mindgpt_plugins.recipe.data import DataConfig


def config(**more: Any) -> DataConfig:
    sets = {"t": {"sources": {"general": {"images": 4, "items": 8}}}}
    return DataConfig.model_validate({"kind": "data", "sets": sets, **more})


def test_render_writes_what_the_process_reads(tmp_path: Path) -> None:
    context = Context("world", tmp_path, {}, 7)
    (command,) = DataStage().render(config(), context)
    assert command.argv[:2] == ("-m", "mindgpt_data")
    written = json.loads(Path(command.argv[2]).read_text())
    assert written["seed"] == 7
    assert "kind" not in written["settings"]
    assert DataStage().artefacts(config(), context)["datasets"] == written["folder"]


def test_check_sees_trouble_before_anything_runs(tmp_path: Path) -> None:
    context = Context("world", tmp_path, {}, 0)
    assert DataStage().check(config(), context) == []
    problems = DataStage().check(
        config(world={"size": 128}, density={"estimator": "pixel"}, budget={"n_max": 1}), context
    )
    assert len(problems) == 3
    assert "rescaled" in problems[0]
    assert "did you mean 'pixels'" in problems[1]
    assert "between 4 and 4" in problems[2]
