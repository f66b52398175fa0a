"""What a stage may use when it renders: its folder, its inputs and the recipe's shared settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.folders import is_stage_done
from mindgpt_plugins.core.image_size import MAX_PIXELS, MIN_PIXELS
from mindgpt_plugins.families import Thinking


@dataclass(frozen=True)
class Context:
    """What a stage may use when it renders: its folder, its inputs and the recipe's shared settings."""

    name: str
    folder: Path
    inputs: Mapping[str, Mapping[str, str]]
    """Finished input stages: name → artefact name → absolute path."""
    seed: int
    plugins: tuple[str, ...] = ()
    """Module names or absolute ``.py`` paths from the recipe."""
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    """One image size for every stage (pixels), so that training, rollout and evaluation see the same tokens."""
    thinking: Thinking = "model"
    """How chat templates are switched, in every stage."""
    cpu: bool = True
    """No accelerator is used: render CPU settings."""
    recipe_folder: Path = Path(".")
    python: str = sys.executable
    """Interpreter that the stage's processes get; its hosts are the ones to ask."""
    input_folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders of the input stages, finished or not."""

    def model(self, reference: str) -> str:
        """Resolve a model reference to a folder, or leave it alone when it is a hub id."""
        if reference in self.inputs:
            return self.artefact(reference, "model")
        local = (self.recipe_folder / reference).resolve()
        return str(local) if local.is_dir() else reference

    def dataset(self, reference: str) -> tuple[Path, str]:
        """Resolve ``<stage>/<set>`` or ``<folder>/<set>`` to (folder with dataset_info.json, set name)."""
        head, _, name = reference.rpartition("/")
        if head in self.inputs:
            return Path(self.artefact(head, "datasets")), name
        return (self.recipe_folder / head).resolve(), name

    def branches(self, reference: str) -> str:
        """Resolve the branch file of a focus: an input stage's artefact, or a file relative to the recipe."""
        if reference in self.inputs:
            return self.artefact(reference, "branches")
        return str((self.recipe_folder / Path(reference).expanduser()).resolve())

    def made(self, reference: str) -> bool:
        """Can a dataset be read yet? Not while the stage that makes it is unfinished, however much of it is there."""
        folder = self.input_folders.get(reference.rpartition("/")[0])
        return folder is None or is_stage_done(folder)

    def artefact(self, stage: str, name: str) -> str:
        """Absolute path of a named artefact of a finished input stage."""
        try:
            return self.inputs[stage][name]
        except KeyError:
            known = ", ".join(self.inputs.get(stage, {})) or "none"
            raise StageError(
                f"stage {self.name!r} needs {name!r} of stage {stage!r}, which produces: {known}"
            ) from None
