"""Recipe schema of the ``data`` stage: pictures and questions, by set."""

from __future__ import annotations

from typing import Literal

from mindgpt_data.config import DataSettings

from mindgpt_plugins.recipe.base import StageConfig


class DataConfig(StageConfig, DataSettings):
    """Renders a world, writes quality-gated QA about it and exports the sets."""

    kind: Literal["data"]
