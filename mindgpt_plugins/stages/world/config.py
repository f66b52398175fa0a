"""Recipe schema of the ``world`` stage: pictures and questions, by set."""

from __future__ import annotations

from typing import Literal

from mindgpt_data.world.config import WorldSettings

from mindgpt_plugins.core.schema import StageConfig


class WorldConfig(StageConfig, WorldSettings):
    """Renders a world, writes quality-gated QA about it and exports the sets."""

    kind: Literal["world"]
