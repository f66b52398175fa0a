"""What vLLM is given, with a stand-in for it: pictures as SFT shows them, one begin token, no foreign size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mindgpt_plugins.generation.hf_engine import EngineError, Prompt
from mindgpt_plugins.generation.vllm_engine import VllmEngine

Build = Callable[[str], Path]


class StandIn:
    """Keeps what it is made with and asked; every reply is one token."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments

    def generate(self, asked: list[dict[str, Any]], parameters: list[Any], use_tqdm: bool) -> list[Any]:
        self.asked = asked
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=[5])]) for _ in asked]


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = StandIn, SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)


def ask(folder: Path, images: tuple[Path, ...]) -> StandIn:
    engine = VllmEngine(str(folder), min_pixels=1024, max_pixels=9216, device="cpu")
    engine.generate([Prompt("a", "what colour is it?", images)])
    made: StandIn = engine.llm
    return made


@pytest.mark.usefixtures("vllm")
def test_pictures_come_fitted_and_the_begin_token_is_left_to_vllm(build: Build, pictures: dict[str, Path]) -> None:
    qwen = ask(build("qwen2_5_vl"), (pictures["large"],))
    (asked,) = qwen.asked
    assert asked["multi_modal_data"]["image"][0].size == (110, 83)  # 9,216 pixels; the processor rounds it
    # vLLM's own limit must not shrink what rounds up to more than the recipe's.
    size = qwen.arguments["mm_processor_kwargs"]["size"]
    assert size == {"shortest_edge": 1024, "longest_edge": 2 * 9216}
    gemma = ask(build("gemma3"), (pictures["large"],))
    assert "mm_processor_kwargs" not in gemma.arguments
    assert gemma.asked[0]["multi_modal_data"]["image"][0].size == (110, 83)
    assert gemma.asked[0]["prompt"].startswith("<start_of_turn>user")
    llama = ask(build("llama"), ())
    assert "limit_mm_per_prompt" not in llama.arguments and llama.asked[0]["prompt"].startswith("<|start_header_id|>")


@pytest.mark.usefixtures("vllm")
def test_a_text_model_takes_no_picture(build: Build, pictures: dict[str, Path]) -> None:
    with pytest.raises(EngineError, match="prompt a: the prompt has a picture, and the model has no vision part"):
        ask(build("llama"), (pictures["small"],))
