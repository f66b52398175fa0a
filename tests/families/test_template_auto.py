"""``template: auto`` is the host's template that writes a model's own markup, for every family that has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("llamafactory")

from mindgpt_plugins.llamafactory_ext.template_check import resolve_template  # noqa: E402
from mindgpt_plugins.llamafactory_ext.template_sides import TemplateError  # noqa: E402

Build = Callable[[str], Path]
FITS = {
    "qwen2_vl": "qwen2_vl", "qwen2_5_vl": "qwen2_vl", "qwen3_vl": "qwen3_vl_nothink",
    "qwen3_vl_moe": "qwen3_vl_nothink", "qwen3_5": "qwen3_5", "qwen3_5_moe": "qwen3_5", "qwen3": "qwen3_nothink",
    "gemma3": "gemma3", "llama": "llama3", "mistral3": "mistral_small", "glm4v": "glm_ocr", "glm46v": "glm_ocr",
}  # fmt: skip
"""Family → what is chosen for the tiny model of :mod:`support.families`; ``own`` for the others."""


def test_the_models_own_markup_is_found(family: str, build: Build) -> None:
    if family == "paligemma":
        with pytest.raises(TemplateError, match="there is no chat template"):
            resolve_template(str(build(family)), None, "model")
        return
    assert resolve_template(str(build(family)), None, "model") == FITS.get(family, "own")
