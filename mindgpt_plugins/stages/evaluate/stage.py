"""Stage ``evaluate``: scores a model on held-out sets with ``python -m mindgpt_plugins.stages.evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mindgpt_data.tree.model import TreeError

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.schema import StageConfig, resolve_config, write_model
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.stages.base import (
    Command,
    Context,
    CostRules,
    Extension,
    RehearsalRules,
    ReportRules,
    SetRead,
    Stage,
)
from mindgpt_plugins.stages.evaluate.branches import read_tree_leaves
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig
from mindgpt_plugins.stages.evaluate.job import EvaluateJob, GateJob


class Evaluate(Stage[EvaluateConfig]):
    """Writes ``scores.json``, ``branches.json`` and ``predictions.jsonl``."""

    Config: ClassVar[type[StageConfig]] = EvaluateConfig
    side: ClassVar[str] = "sft"
    hosts: ClassVar[tuple[str, ...]] = ("transformers", "torch")

    def render(self, config: EvaluateConfig, context: Context) -> list[Command]:
        """Resolve references and write ``evaluate.json``."""
        gate = None
        if (asked := config.gate) is not None:
            gate = GateJob(
                before=Path(context.artefact(asked.before, "predictions")),
                peak=Path(context.artefact(asked.peak, "predictions")) if asked.peak else None,
                set=asked.set or config.sets[0].rpartition("/")[2],
                groups=asked.groups,
                margin=asked.margin,
                keep_gain=asked.keep_gain,
                on_fail=asked.on_fail,
            )
        earlier = config.compare or (config.gate and config.gate.before)
        job = resolve_config(
            config,
            EvaluateJob,
            **build_model_settings(config.model, config.seed, context),
            sets=[locate_set(context, ref) for ref in config.sets],
            gate=gate,
            compare={"name": earlier, "predictions": context.artefact(earlier, "predictions")} if earlier else None,
            tree=_trees(config, context),
        )
        write_model(context.folder / "evaluate.json", job)
        return [Command(("-m", "mindgpt_plugins.stages.evaluate", "evaluate.json"))]

    def artefacts(self, config: EvaluateConfig, context: Context) -> dict[str, str]:
        """Scores, accuracy per branch of the label tree, and predictions."""
        return {
            "scores": str(context.folder / "scores.json"),
            "branches": str(context.folder / "branches.json"),
            "predictions": str(context.folder / "predictions.jsonl"),
        }

    def set_reads(self, config: EvaluateConfig) -> list[SetRead]:
        """The held-out sets."""
        return [SetRead(one, "rows") for one in config.sets]

    def check(self, config: EvaluateConfig, context: Context) -> list[str]:
        """Set names must differ, the gate's set must be one of them, and trees must be readable."""
        names = [ref.rpartition("/")[2] for ref in config.sets]
        problems = [f"sets: {name!r} occurs twice; set names must differ" for name in {*names} if names.count(name) > 1]
        if config.gate and config.gate.set is not None and config.gate.set not in names:
            problems.append(f"gate.set: {config.gate.set!r} is not evaluated here; choose from {', '.join(names)}")
        try:
            read_tree_leaves(_trees(config, context))
        except TreeError as error:
            problems.append(f"tree: {error}")
        return problems

    def extension(self, config: EvaluateConfig) -> Extension | None:
        """More training for the judged model, when the gate says ``on_fail: extend``."""
        gate = config.gate
        if gate is None or gate.extend is None:
            return None
        more = gate.extend
        rest: dict[str, Any] = {"extend": more.model_copy(update={"times": more.times - 1})}
        if more.times == 1:
            rest = {"on_fail": more.then, "extend": None}
        judged = config.model_copy(update={"gate": gate.model_copy(update=rest)})
        return Extension(config.model, more.steps, judged)

    def gate_failed(self, folder: Path) -> bool:
        """As ``scores.json`` says."""
        return bool(read_json(folder / "scores.json")["gate"]["verdict"] == "failed")

    def rehearsal_rules(self) -> RehearsalRules[EvaluateConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.evaluate.rehearse import EvaluateRehearsal

        return EvaluateRehearsal()

    def cost_rules(self) -> CostRules[EvaluateConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.evaluate.cost import EvaluateCost

        return EvaluateCost()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.evaluate.report import EvaluateReport

        return EvaluateReport()


def _trees(config: EvaluateConfig, context: Context) -> dict[str, Path]:
    trees = config.tree.model_dump(exclude_none=True) if config.tree else {}
    return {axis: (context.recipe_folder / Path(path).expanduser()).resolve() for axis, path in trees.items()}


def build_model_settings(reference: str, seed: int | None, context: Context) -> dict[str, Any]:
    """What every stage that loads a model for generation passes on: fields of ``ModelSettings``."""
    return {
        "model": context.model(reference),
        "model_name": reference,
        "seed": context.seed if seed is None else seed,
        "min_pixels": context.min_pixels,
        "max_pixels": context.max_pixels,
        "thinking": context.thinking,
        "device": "cpu" if context.cpu else None,
    }


def locate_set(context: Context, reference: str) -> SetLocation:
    """A dataset reference as folder and set name."""
    folder, name = context.dataset(reference)
    return SetLocation(folder=folder, name=name)
