"""Every kind of page, made by its own code from labels, rows and replies that try to become markup."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HOSTILE = (
    "</style></script></title></textarea><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\"><!-- ' \" & {{ 7 * 7 }} {% raw %} {# \x1b[31m \u202e "
    "\x00 \x7f \x9b \u200f \u2066"
)


def report(folder: Path) -> Path:
    return _run(folder) / "report.html"


def rollouts(folder: Path) -> Path:
    return _run(folder) / "rollouts.html"


def _run(folder: Path) -> Path:
    """A run in whose files names, labels, questions, replies, reasons and settings are hostile."""
    import synthetic

    from mindgpt_plugins.workbench.report import build_report

    run = synthetic.make(folder, per_task=20)
    inside = json.dumps(HOSTILE)[1:-1]
    words = (
        "colour",
        "sign",
        "restore_data",
        "what about",
        "purple",
        "conciseness",
        "decentaminate",
        "rules",
        "no right",
    )
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".jsonl") and path.name != "stage.json":
            text = path.read_text()
            for word in words:
                # A label's dots make its branches: only the last part of it may hold anything.
                text = text.replace(word, word + inside.replace(".", ","))
            # A manifest names folders, and no path has a NUL.
            path.write_text(text.replace("\\u0000", "") if path.name == "manifest.json" else text)
        elif path.suffix in (".yaml", ".sh"):
            path.write_text(path.read_text() + HOSTILE)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"recipe": HOSTILE}))
    build_report(run)
    return run


def data_report(folder: Path) -> Path:
    from mindgpt_data.io.work import Drop
    from mindgpt_data.report.build import write_data_report
    from mindgpt_data.schema.config import DataSettings
    from mindgpt_data.tree.checks import build_tree as tree_of
    from support.report_folder import build as work_folder

    from mindgpt_plugins.core import files

    work = work_folder(folder / "roads", images=12)
    image = dataclasses.replace(work.read_images()[3], image=HOSTILE, source=HOSTILE)
    files.write_jsonl(work.images, [*(r.to_json() for r in work.read_images()), image.to_json()])
    first = next(work.read_rows(work.kept, "filter"))
    fields = dict.fromkeys(("question", "answer", "response", "source", "knowledge", "capability"), HOSTILE)
    row = dataclasses.replace(first, uid=HOSTILE, image=[HOSTILE], **fields)
    twin = dataclasses.replace(row, uid="twin", type="adversarial", twin_uid=HOSTILE)
    for path in (work.candidates, work.kept, work.datasets / "roads_train.jsonl"):
        files.write_jsonl(path, [row.to_json(), twin.to_json()])
    work.write_drops("filter", [Drop("filter", HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
    work.write_summary("filter", {"funnel": [{"gate": HOSTILE, "notes": [HOSTILE]}]})
    tree: list[dict[str, Any]] = [
        {"id": id, "level": level, "parent": parent, "name": HOSTILE, "definition": HOSTILE}
        for id, level, parent in (("a", 1, None), ("b", 2, "a"), (HOSTILE, 3, "b"))
    ]
    del tree[0]["parent"]
    trees = {
        "knowledge": tree_of("knowledge", tree),
        "capability": tree_of("capability", [*tree[:2], tree[2] | {"density": "text"}]),
    }
    settings = DataSettings.model_validate({"images": {"path": "x"}, "tree": {"knowledge": "x", "capability": "x"}})
    return write_data_report(work, settings, trees)[0]


def explain(folder: Path) -> Path:
    from mindgpt_plugins.advantage.config import AdvantageConfig
    from mindgpt_plugins.rewards import recorded
    from mindgpt_plugins.rewards.config import RewardConfig
    from mindgpt_plugins.workbench.explain.explain import explain_rollouts
    from mindgpt_plugins.workbench.explain.page import render_explain_page
    from mindgpt_plugins.workbench.explain.setup import Setup

    rng = random.Random(0)
    lines = [
        {"text": f"{HOSTILE} answer: {rng.choice(['car', 'bus'])}", "target": "car", "prompt": HOSTILE,
         "group": f"{HOSTILE}{i // 6}", "session": i % 6, "step": 1, "tokens": 3 + i % 5, "type": "verifiable",
         "answer_type": "text", "source": HOSTILE}
        for i in range(48)
    ]  # fmt: skip
    path = folder / "r.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rewards = {"accuracy": RewardConfig(), "conciseness": RewardConfig(weight=0.2, options={"budget": 4})}
    first, second = (
        Setup(HOSTILE, rewards, AdvantageConfig.model_validate({"name": name}), 4) for name in ("modulated", "gdpo")
    )
    data = explain_rollouts(recorded.read_recorded_rollouts(path, total_steps=4, progress=0.5), first, second)
    return _written(folder, render_explain_page(data))


def parallel(folder: Path) -> Path:
    from mindgpt_plugins.sizing.model import read_model_sizes
    from mindgpt_plugins.workbench.parallel import page, plan
    from mindgpt_plugins.workbench.parallel.request import ParallelRequest

    known = read_model_sizes(str(Path(__file__).parents[1] / "workbench/parallel/configs/qwen3_8b.json"))
    made = plan.make_parallel_plan(dataclasses.replace(known, name=HOSTILE, notes=(HOSTILE,)), ParallelRequest(gpus=8))
    return _written(folder, page.render_parallel_page(dataclasses.replace(made, killed=Counter([HOSTILE])), 4))


def rehearsal(folder: Path) -> Path:
    from mindgpt_plugins.stages.rehearsal import Finding, RecipeDifference
    from mindgpt_plugins.workbench.cost.estimate import StageCost
    from mindgpt_plugins.workbench.rehearse.rehearse import Rehearsal
    from mindgpt_plugins.workbench.rehearse.report import render_rehearsal_page

    cut = {"architecture": HOSTILE, "original_parameters": 9, "parameters": 1, "cut": {HOSTILE: (HOSTILE, 2)}}
    result = Rehearsal(
        HOSTILE,
        folder,
        [Finding(HOSTILE, HOSTILE, "failed", HOSTILE)],
        [RecipeDifference(HOSTILE, HOSTILE, HOSTILE, None, "stand-in", HOSTILE)],
        [(HOSTILE, HOSTILE)],
        {HOSTILE: cut},
    )
    return _written(folder, render_rehearsal_page(result, [StageCost(HOSTILE, "sft", 1, assumptions=[HOSTILE])]))


def curriculum(folder: Path) -> Path:
    from mindgpt_plugins.cli.plan import render_forecast_page
    from mindgpt_plugins.llamafactory_ext.forecast import Forecast

    series, hard = {HOSTILE: [4] * 9, "b": [0] * 9}, {HOSTILE: [0.1 * i for i in range(9)]}
    forecast = Forecast(9, 9, 4, 36, HOSTILE, HOSTILE, 1, series, series, [0.5] * 9, hard, None, [HOSTILE])
    return _written(folder, render_forecast_page({HOSTILE: forecast}))


def preview(folder: Path) -> Path:
    from mindgpt_data.schema.record import ImageRecord
    from mindgpt_data.schema.rows import SUB_SCORES
    from mindgpt_data.steps.preview import Shown, write_preview_page
    from mindgpt_data.teachers.base import Candidate, Job, Slot

    record = ImageRecord(HOSTILE, [str(folder / HOSTILE.replace("/", "_"))], 8, 8, "c")
    job = Job(record, 0.5, dict.fromkeys(SUB_SCORES, 1.0), 1, {}, slots=(Slot(0, HOSTILE, HOSTILE),))
    one = Shown(job, [(HOSTILE, HOSTILE)], [Candidate(HOSTILE, HOSTILE, HOSTILE)], [HOSTILE])
    write_preview_page([one], folder / "page.html")
    return folder / "page.html"


def _written(folder: Path, text: str) -> Path:
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


KINDS: Mapping[str, Callable[[Path], Path]] = {
    kind.__name__: kind for kind in (report, rollouts, data_report, explain, parallel, rehearsal, curriculum, preview)
}
