"""The last model of a rehearsal, loaded once as a user would load it, and asked a question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_jsonl
from mindgpt_plugins.core.schema import write_model
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.stages.rehearsal import Finding
from mindgpt_plugins.workbench.rehearse import checks
from mindgpt_plugins.workbench.rehearse.exported import LoadingJob

_TOKENS = 8


def check_model_loads(plan: Plan, folder: Path) -> list[Finding]:
    """Load the last model that a stage left.

    Args:
        plan: of the rehearsal, every stage done.
        folder: for the job file.
    """
    stage = next((s for s in reversed(plan.stages) if "model" in s.stage.artefacts(s.config, s.context)), None)
    if stage is None:
        return []
    model = stage.stage.artefacts(stage.config, stage.context)["model"]
    question, images = _question(plan)
    job = LoadingJob(
        model=model, model_name=stage.name, max_new_tokens=_TOKENS, min_pixels=stage.context.min_pixels,
        max_pixels=stage.context.max_pixels, thinking=stage.context.thinking,
        seed=0, device="cpu", batch_size=1, question=question, images=images,
    )  # fmt: skip
    path = folder / "load.json"
    write_model(path, job)
    status, said = checks.run_check_process(
        ["-m", "mindgpt_plugins.workbench.rehearse.exported", str(path)], stage.python
    )
    line = next((line for line in said.splitlines() if line.startswith("LOADED")), None)
    if status != 0 or line is None:
        last = said.strip().splitlines()[-1:] or ["no output"]
        return [Finding(stage.name, "export", "failed", f"{model} cannot be loaded: {last[0]}")]
    return _judged(stage, json.loads(line.removeprefix("LOADED")))


def _judged(stage: PlannedStage, found: dict[str, Any]) -> list[Finding]:
    odd = [f"{key} {found[key][:3]}" for key in ("missing", "unexpected", "mismatched") if found[key]]
    if odd:
        return [Finding(stage.name, "export", "failed", f"transformers loads it with {'; '.join(odd)}")]
    result = []
    for engine, name in (("hf", "transformers"), ("vllm", "vLLM")):
        if engine not in found:
            result.append(
                Finding(stage.name, "export", "not on CPU", f"{name} is not in this interpreter; not loaded there")
            )
        elif "error" in found[engine]:
            result.append(Finding(stage.name, "export", "failed", f"{name}: {found[engine]['error']}"))
        else:
            text = f"{name} loads it with every tensor in place; it answered {found[engine]['tokens']} tokens"
            result.append(Finding(stage.name, "export", "proven", text))
    return result


def _question(plan: Plan) -> tuple[str, list[Path]]:
    """Question and pictures of the first row of the last set that has a plain file of rows."""
    for stage in reversed(plan.stages):
        for to, value in stage.config.references():
            if to != "dataset":
                continue
            folder, name = stage.context.dataset(value)
            path = folder / f"{name}.jsonl"
            if path.is_file():
                _, row = next(read_jsonl(path))
                row = row.get("row", row)
                return row["question"], [folder / image for image in row["image"]]
    return "what is this?", []
