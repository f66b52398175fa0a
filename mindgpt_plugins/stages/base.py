"""What a stage is: it renders a host's own config and command, and says which files prove it is done."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.folders import DONE
from mindgpt_plugins.core.image_size import MAX_PIXELS, MIN_PIXELS
from mindgpt_plugins.core.schema import StageConfig

ConfigT = TypeVar("ConfigT", bound=StageConfig)


@dataclass(frozen=True)
class Command:
    """One process of a stage. ``argv`` starts after the interpreter: ``("-m", "verl.trainer.main_ppo", …)``.

    Every command must be safe to run again after a kill: it goes on from its own checkpoints.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def shell(self, python: str) -> str:
        """The same command as one line that can be pasted into a shell."""
        assignments = [f"{key}={shlex.quote(value)}" for key, value in sorted(self.env.items())]
        prefix = ["env", *assignments] if assignments else []
        return " ".join([*prefix, shlex.quote(python), *map(shlex.quote, self.argv)])


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
    cpu: bool = True
    """No accelerator is used: render CPU settings."""
    recipe_folder: Path = Path(".")
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
        return folder is None or (folder / DONE).is_file()

    def artefact(self, stage: str, name: str) -> str:
        """Absolute path of a named artefact of a finished input stage."""
        try:
            return self.inputs[stage][name]
        except KeyError:
            known = ", ".join(self.inputs.get(stage, {})) or "none"
            raise StageError(
                f"stage {self.name!r} needs {name!r} of stage {stage!r}, which produces: {known}"
            ) from None


@dataclass(frozen=True)
class TokenLimit:
    """A limit that every row of a dataset must respect, counted with a model's own tokenizer and processor."""

    dataset: str
    """Dataset reference as in the recipe."""
    model: str
    """Model reference whose tokenizer counts."""
    limit: int
    """Tokens, vision tokens included."""
    key: str
    """Recipe key that sets the limit, for the message."""
    with_response: bool = True
    """Does the supervised reply count too (training), or only the prompt (rollouts)?"""


@dataclass(frozen=True)
class Extension:
    """More training that a finished stage may ask for, because a gate has failed."""

    trained: str
    """The stage to be trained further."""
    steps: int
    """Optimizer steps of one extension."""
    judged: StageConfig
    """Settings of the stage that judges the result, still with the model of this one."""


class Stage(ABC, Generic[ConfigT]):
    """A stage kind. Stateless; one subclass per file in ``pipeline/stages/``, registered in ``builtins.py``."""

    Config: ClassVar[type[StageConfig]]
    side: ClassVar[str]
    """Which interpreter runs it (``launch.<side>.python``): data, sft or rl."""
    code: ClassVar[tuple[str, ...]]
    """Dotted packages or modules of ours whose source is part of the stage's hash, beside the stage's own file."""

    @abstractmethod
    def render(self, config: ConfigT, context: Context) -> list[Command]:
        """Write the host's config into ``context.folder`` and return the commands, in order."""

    @abstractmethod
    def artefacts(self, config: ConfigT, context: Context) -> dict[str, str]:
        """Name → absolute path of what the finished stage offers to later ones.

        Pure: called before the stage has run, to plan. The runner fails the stage if a promised path is missing.
        """

    def check(self, config: ConfigT, context: Context) -> list[str]:
        """Problems that can be seen before anything runs (divisibility, names, files). Empty when fine.

        ``context.inputs`` may point at folders that do not exist yet.
        """
        return []

    def extension(self, config: ConfigT) -> Extension | None:
        """The training that a failed gate of this stage would ask for; None when it asks for none."""
        return None

    def gate_failed(self, folder: Path) -> bool:
        """Has the gate of a stage that is done failed?"""
        return False

    def trained_further(self, config: ConfigT, start: str, steps: int, seed: int) -> ConfigT | None:
        """The same training for ``steps`` more from model ``start``; None for a stage that trains nothing."""
        return None

    def token_limits(self, config: ConfigT) -> list[TokenLimit]:
        """Token limits to check against the data before the stage starts."""
        return []


def as_json(config: StageConfig) -> dict[str, Any]:
    """A config as plain JSON data, for our own stage modules."""
    return config.model_dump(mode="json")
