"""What a stage kind says about the cost of its stages; a kind that says nothing is not counted."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.sizing.flops import Sized
from mindgpt_plugins.sizing.lengths import Lengths, NotYet, Rows
from mindgpt_plugins.sizing.work import CostInputs, StageWork
from mindgpt_plugins.stages.context import Context

ConfigT_contra = TypeVar("ConfigT_contra", bound=StageConfig, contravariant=True)


class CostRules(Generic[ConfigT_contra]):
    """How the cost of a stage kind is counted, in its ``cost.py``. Stateless."""

    def base_model(self, config: ConfigT_contra) -> str | None:
        """Reference of the model whose sizes the stage works with; None when it makes one, or has none."""
        reference: Any = getattr(config, "model", None)
        return reference if isinstance(reference, str) else None

    def foresee_model(self, config: ConfigT_contra, context: Context) -> Sized:
        """Sizes of the model that the stage will make from nothing.

        Raises:
            NotYet: they cannot be known before it has run.
        """
        raise NotYet(f"the sizes of the model that stage {context.name!r} makes are not known before it has run")

    def foresee_rows(self, config: ConfigT_contra, name: str, lengths: Lengths) -> Rows | None:
        """Rows of a set that the stage will make; None when they cannot be known before it has run.

        Args:
            config: of the stage.
            name: of the set.
            lengths: the sets that the stage reads, counted for the model that will read this one.
        """
        return None

    def count_work(self, config: ConfigT_contra, context: Context, job: CostInputs) -> StageWork | None:
        """What the stage computes on GPUs, ``Work()`` for nothing; None when the kind says nothing."""
        return None
