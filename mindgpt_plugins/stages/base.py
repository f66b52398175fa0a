"""What a stage is: it renders a host's own config and command, and says which files prove it is done."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from mindgpt_plugins.core.builtins import list_shipped_modules
from mindgpt_plugins.core.registry import PLUGIN_PREFIX
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.core.sources import OURS, find_code
from mindgpt_plugins.inspection.readers import Reader
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.rehearsal import RehearsalRules
from mindgpt_plugins.stages.reporting import ReportRules

__all__ = [
    "Command",
    "Context",
    "CostRules",
    "Extension",
    "RehearsalRules",
    "ReportRules",
    "Stage",
    "SetRead",
    "dump_config",
]
ConfigT = TypeVar("ConfigT", bound=StageConfig)


@dataclass(frozen=True)
class Command:
    """One process of a stage. ``argv`` starts after the interpreter: ``("-m", "verl.trainer.main_ppo", …)``.

    Every command must be safe to run again after a kill: it goes on from its own checkpoints.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def shell(self, python: str, variables: Collection[str] = ()) -> str:
        """The same command as one line that can be pasted into a shell; ``variables`` (``${NAME}``) are left to it."""

        def quote(value: str) -> str:
            if value in variables:
                return f'"{value}"'
            quoted = shlex.quote(value)
            for one in variables:
                quoted = quoted.replace(one, f"'\"{one}\"'")
            return quoted

        assignments = [f"{key}={quote(value)}" for key, value in sorted(self.env.items())]
        prefix = ["env", *assignments] if assignments else []
        return " ".join([*prefix, shlex.quote(python), *map(shlex.quote, self.argv)])


@dataclass(frozen=True)
class SetRead:
    """A set that a stage reads: by whose rules its rows are checked before anything starts, and how long they may be.

    Attributes:
        dataset: reference as in the recipe.
        reader: ``llamafactory``, ``verl``, or ``rows`` (our own JSON Lines).
        model: reference of the model whose tokenizer counts.
        limit: tokens that a row may have, vision tokens included; None for no limit.
        key: recipe key that sets the limit, for the message.
        with_response: does the supervised reply count too (training), or only the prompt (rollouts)?
        drop_invalid: may the host leave out rows that it does not understand?
        difficulty: the column that a curriculum orders by.
        columns: verl's name of a column → the set's, where they differ.
        media_dir: folder in which the host looks for pictures, when it is not the set's.
    """

    dataset: str
    reader: Reader = "llamafactory"
    model: str = ""
    limit: int | None = None
    key: str = ""
    with_response: bool = True
    drop_invalid: bool = False
    difficulty: str | None = None
    media_dir: str | None = None
    columns: tuple[tuple[str, str], ...] = ()


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
    """A stage kind. Stateless; one folder ``stages/<kind>/`` each, registered in ``core/builtins.py``.

    What is not abstract has a default, so that a kind from elsewhere works when it only renders and promises artefacts.
    """

    Config: ClassVar[type[StageConfig]]
    side: ClassVar[str]
    """Whose interpreter and environment its processes get: ``launch.<side>`` of the recipe. Any name will do."""
    hosts: ClassVar[tuple[str, ...]] = ()
    """Packages its processes need: names in ``core/compat.HOSTS``, or as pip writes them, e.g. ``"toolbox>=2"``."""
    entries: ClassVar[tuple[str, ...]] = ()
    """Modules that its processes start from, where neither an import nor a string in the stage's own file says so."""
    uses: ClassVar[tuple[str, ...]] = ()
    """Kinds of registered things that its processes look up by name, e.g. ``("reward", "advantage")``."""
    paid: ClassVar[tuple[str, ...]] = ()
    """Patterns of files in its folder with answers that were paid for: a new attempt after damage begins with them."""

    @classmethod
    def code(cls) -> Mapping[str, str]:
        """Module → digest of everything the stage runs: its own file and what that reaches, see :mod:`..core.sources`.

        Classes it inherits from count, and what ships under every name that it may look up.
        """
        own = {one.__module__ for one in cls.__mro__ if issubclass(one, Stage) and one is not Stage}
        # A stage of a recipe's own ``.py`` file is no module that can be found; that file is stamped as a plugin.
        roots = {
            one for one in (*own, *cls.entries, *list_shipped_modules(cls.uses)) if not one.startswith(PLUGIN_PREFIX)
        }
        return find_code(roots, (*OURS, *(one.partition(".")[0] for one in own)))

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

    def check_model(self, config: ConfigT, context: Context, folder: Path) -> list[str]:
        """What the stage cannot do with the model it starts from, seen before anything runs.

        Args:
            config: of the stage.
            context: of the stage.
            folder: of the model, or of the one that its chain of stages begins with, whose family, tokenizer and chat
                template it keeps.
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

    def rehearsal_rules(self) -> RehearsalRules[ConfigT]:
        """How the kind is rehearsed."""
        return RehearsalRules()

    def cost_rules(self) -> CostRules[ConfigT]:
        """What the kind computes."""
        return CostRules()

    def report_rules(self) -> ReportRules:
        """What the report shows of the kind."""
        return ReportRules()

    def made_sets(self, config: ConfigT, context: Context) -> Mapping[str, frozenset[Reader]] | None:
        """Names of the sets that the stage may make, each with what can read it; None when nothing is known.

        A reference to any other set is refused before anything runs.
        """
        return None

    def set_reads(self, config: ConfigT) -> list[SetRead]:
        """Sets whose rows are checked before the stage starts."""
        return []


def dump_config(config: StageConfig) -> dict[str, Any]:
    """A config as plain JSON data, for our own stage modules."""
    return config.model_dump(mode="json")
