"""Stage ``data``: runs ``python -m mindgpt_data``, the same steps as ``mindgpt data run``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mindgpt_data.schema.config import DataSettings

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.inspection.readers import Reader
from mindgpt_plugins.stages.base import Command, Context, RehearsalRules, ReportRules, Stage
from mindgpt_plugins.stages.data.config import DataConfig


class DataStage(Stage[DataConfig]):
    """Pictures in a folder become quality-gated QA in a datasets folder."""

    Config: ClassVar[type[StageConfig]] = DataConfig
    side: ClassVar[str] = "data"
    uses: ClassVar[tuple[str, ...]] = ("estimator", "teacher", "allocator", "gate")
    paid: ClassVar[tuple[str, ...]] = ("work/store.sqlite*",)

    def render(self, config: DataConfig, context: Context) -> list[Command]:
        """Write ``config.json`` for ``python -m mindgpt_data``, its paths made absolute."""
        settings = _resolve(config, context)
        content = {
            "runs": [{"settings": settings, "work": str(context.folder / "work")}],
            "datasets": None,
            "seed": context.seed,
            "engine": config.engine,
            "plugins": list(context.plugins),
        }
        path = context.folder / "config.json"
        write_json(path, content)
        return [Command(("-m", "mindgpt_data", str(path)))]

    def artefacts(self, config: DataConfig, context: Context) -> dict[str, str]:
        """``datasets``: the folder the trainers load. Not the page: ``mindgpt data report`` may write that again."""
        return {"datasets": str(context.folder / "work" / "datasets")}

    def check(self, config: DataConfig, context: Context) -> list[str]:
        """Registered names and their options, a model for every step that needs one, and who writes the focus."""
        from mindgpt_data.steps.check import find_settings_problems

        made = tuple(one for one in config.filter.against if context.made(one))
        ready = config.model_copy(update={"filter": config.filter.model_copy(update={"against": made})})
        try:
            return find_settings_problems(DataSettings.model_validate(_resolve(ready, context)))
        except StageError as error:
            return [f"focus: {error}"]

    def made_sets(self, config: DataConfig, context: Context) -> Mapping[str, frozenset[Reader]]:
        """The splits that the shares, or the lines of a manifest, can fill; pairs where LLaMA-Factory's are written."""
        chosen = config.export
        written: dict[str, Reader] = {"sharegpt": "llamafactory", "verl": "verl"}
        formats = frozenset[Reader]({"rows", *(written[one] for one in chosen.formats if one in written)})
        pairs = {f"{chosen.name}_pairs": frozenset[Reader]({"llamafactory"})} if "sharegpt" in chosen.formats else {}
        if chosen.split is not None:
            return {chosen.name: formats} | pairs
        declared = not (context.recipe_folder / Path(config.images.path).expanduser()).is_dir()
        shares = {"train": 1.0, "dev": chosen.dev, "test": chosen.test}
        return {f"{chosen.name}_{split}": formats for split, share in shares.items() if share or declared} | pairs

    def rehearsal_rules(self) -> RehearsalRules[DataConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.data.rehearse import DataRehearsal

        return DataRehearsal()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.data.report import DataReport

        return DataReport()


def _resolve(config: DataConfig, context: Context) -> dict[str, Any]:
    """The settings of ``mindgpt_data`` as plain data, references and relative paths made absolute.

    Raises:
        StageError: the focus names a stage that evaluates nothing.
    """
    settings = config.model_dump(mode="json", include=set(DataSettings.model_fields))
    settings["images"]["path"] = str((context.recipe_folder / Path(config.images.path).expanduser()).resolve())
    settings["filter"]["against"] = [
        "/".join(map(str, context.dataset(reference))) for reference in config.filter.against
    ]
    for dimension in ("knowledge", "capability"):
        tree = getattr(config.tree, dimension)
        if tree != "builtin":
            settings["tree"][dimension] = str((context.recipe_folder / Path(tree).expanduser()).resolve())
    if config.focus is not None:
        settings["focus"]["file"] = context.branches(config.focus.file)
    return settings
