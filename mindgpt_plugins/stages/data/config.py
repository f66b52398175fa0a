"""Recipe schema of the ``data`` stage: the keys of ``mindgpt data``, as one stage."""

from __future__ import annotations

from typing import Annotated, Literal

from mindgpt_data.schema.config import DataSettings
from pydantic import Field

from mindgpt_plugins.core.schema import HOW, StageConfig


class DataConfig(StageConfig, DataSettings):
    """Your pictures become a balanced, dense, verified training set: ``<stage>/<export.name>_train`` and so on."""

    kind: Literal["data"]
    engine: Annotated[Literal["local", "ray"], HOW] = Field(
        "local", description="Where pictures are worked on: local processes, or Ray Data on a cluster."
    )
