"""Stage ``tally``: counts the words of a text; it renders and promises an artefact, and says nothing else."""

from __future__ import annotations

import json
from typing import ClassVar, Literal

from pydantic import Field

from mindgpt_plugins.core.schema import PathRef, StageConfig
from mindgpt_plugins.stages.base import Command, Context, Stage


class TallyConfig(StageConfig):
    """Words of a text, line by line."""

    kind: Literal["tally"]
    text: PathRef = Field(description="Text file.")
    pause: float = Field(0.0, ge=0, description="Seconds per line.")


class Tally(Stage[TallyConfig]):
    """Leaves ``words.json``."""

    Config: ClassVar[type[StageConfig]] = TallyConfig
    side: ClassVar[str] = "tally"
    hosts: ClassVar[tuple[str, ...]] = ("mindgpt-example-stage>=0.1",)

    def render(self, config: TallyConfig, context: Context) -> list[Command]:
        """Write ``tally.json``."""
        text = str((context.recipe_folder / config.text).resolve())
        (context.folder / "tally.json").write_text(json.dumps({"text": text, "pause": config.pause}))
        return [Command(("-m", "mindgpt_example_stage", "tally.json"))]

    def artefacts(self, config: TallyConfig, context: Context) -> dict[str, str]:
        """``words``: words of every line, and the unit that the side's environment names."""
        return {"words": str(context.folder / "words.json")}
