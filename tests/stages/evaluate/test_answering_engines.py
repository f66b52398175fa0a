"""Which engine answers, and vLLM's replies beside Hugging Face's."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from mindgpt_patches.cpu import SITE

from mindgpt_plugins.generation import engines
from mindgpt_plugins.generation.config import EngineSettings
from mindgpt_plugins.generation.hf_engine import Engine, EngineError, Prompt

SIZES = {"max_new_tokens": 8, "min_pixels": 32 * 32, "max_pixels": 64 * 64, "device": "cpu"}
SETTINGS = {**SIZES, "model": "m", "model_name": "m", "seed": 0, "batch_size": 4}
HAS_VLLM = importlib.util.find_spec("vllm") is not None


@pytest.mark.parametrize(
    ("config", "there", "name"),
    [
        ({"device": None}, True, "vllm"),
        ({"device": None}, False, "hf"),
        ({"device": "cpu"}, True, "hf"),
        ({"device": "cpu", "engine": "vllm"}, True, "vllm"),
        ({"device": None, "engine": "hf"}, True, "hf"),
    ],
)
def test_auto_means_vllm_on_accelerators_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, str | None], there: bool, name: str
) -> None:
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda module: object() if there else None)
    assert engines.choose_engine_name(EngineSettings.model_validate({**SETTINGS, **config})) == name


@pytest.mark.skipif(HAS_VLLM, reason="vllm is installed")
def test_asked_for_and_missing_vllm_is_one_line(tiny_model: Path) -> None:
    settings = EngineSettings.model_validate({**SETTINGS, "model": str(tiny_model), "engine": "vllm"})
    with pytest.raises(EngineError, match="engine: vllm cannot be imported .*install vllm, or set engine: hf"):
        engines.make_lazy_engine(settings)()


@pytest.mark.vllm
def test_vllm_gives_the_replies_that_hugging_face_gives(
    tiny_model: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vllm")
    from mindgpt_plugins.generation.vllm_engine import VllmEngine

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")]))
    images = tuple(sorted((datasets / "images").iterdir())[:2])
    prompts = [
        Prompt("a", "what colour is it?", images[:1]),
        Prompt("b", "what colour?", images),
        Prompt("c", "what colour is it?", images[:1], blank=True),
        Prompt("d", "what colour is it?", images[:1], prefix="answer:"),
        Prompt("e", "which colour?"),
    ]
    options = {"max_model_len": 256, "limit_mm_per_prompt": {"image": 2, "video": 0}}
    served = VllmEngine(str(tiny_model), **SIZES, options=options)
    assert served.generate(prompts) == Engine(str(tiny_model), **SIZES).generate(prompts)
    samples = served.generate(prompts[:3], n=4)
    assert [len(group) for group in samples] == [4, 4, 4]
    assert served.generate(prompts[2:3], n=4) == samples[2:]  # whatever shares the batch
    with pytest.raises(EngineError, match="has 3 images, above vLLM's limit of 2"):
        served.generate([Prompt("f", "?", images[:1] * 3)])
