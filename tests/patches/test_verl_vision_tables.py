"""Sharding of vision towers that read an embedding's weight themselves, by verl's own function on one gloo rank."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mindgpt_patches import verl_vision_tables
from mindgpt_patches.guard import restore_places
from PIL import Image
from support.families import build_family
from torch import distributed

from mindgpt_plugins.families import find_family, load_generator, load_processor

fsdp = pytest.importorskip("verl.utils.fsdp_utils")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Any]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield distributed.init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


@pytest.fixture
def patched() -> Iterator[None]:
    assert verl_vision_tables.apply() == "applied"
    yield
    restore_places(verl_vision_tables.places())


def compute_loss(folder: Path, mesh: Any) -> tuple[float, dict[str, float]]:
    """Loss of a sharded model on one picture, and the sizes of its gradients."""
    family, model = find_family(load_processor(str(folder))), load_generator(str(folder))
    assert not model.config.tie_word_embeddings
    fsdp.apply_fsdp2(model, {"mesh": mesh}, {})
    text = family.render_chat([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]}])
    inputs = family.encode([text], [[Image.linear_gradient("L").convert("RGB").resize((80, 96))]], return_tensors="pt")
    loss = model(**inputs, labels=inputs["input_ids"]).loss
    loss.backward()
    return float(loss.detach()), {
        name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None
    }


@pytest.fixture(scope="module")
def glm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_family("glm46v", tmp_path_factory.mktemp("glm"))


def test_the_installed_host_has_the_fault(glm: Path, mesh: Any) -> None:
    with pytest.raises(RuntimeError, match=r"mixed torch\.Tensor and DTensor"):
        compute_loss(glm, mesh)


def test_the_tower_is_trained_and_the_numbers_are_those_of_the_whole_model(glm: Path, mesh: Any, patched: None) -> None:
    loss, sizes = compute_loss(glm, mesh)
    family, whole = find_family(load_processor(str(glm))), load_generator(str(glm))
    text = family.render_chat([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]}])
    inputs = family.encode([text], [[Image.linear_gradient("L").convert("RGB").resize((80, 96))]], return_tensors="pt")
    want = whole(**inputs, labels=inputs["input_ids"]).loss
    want.backward()
    assert loss == pytest.approx(float(want), rel=1e-5)
    named = {name: float(p.grad.norm()) for name, p in whole.named_parameters() if p.grad is not None}
    table = next(name for name in named if "position_embedding" in name)
    assert sizes[table] > 0 and sizes.keys() == named.keys()
    assert all(sizes[name] == pytest.approx(size, rel=1e-3, abs=1e-6) for name, size in named.items())


@pytest.mark.parametrize("family", ["glm46v", "lfm2_vl", "gemma3"])
def test_embeddings_of_the_language_model_are_still_sharded_by_themselves(
    family: str, tmp_path: Path, patched: None
) -> None:
    model = load_generator(str(build_family(family, tmp_path)))
    model.config.tie_word_embeddings = False
    chosen = fsdp._select_fsdp2_wrap_targets(model, set(model._no_split_modules or ()))
    tables = [one for one in chosen if isinstance(one, torch.nn.Embedding)]
    assert tables == [model.get_input_embeddings()]


def test_a_text_model_is_left_alone(tmp_path: Path) -> None:
    model = load_generator(str(build_family("llama", tmp_path)))
    model.config.tie_word_embeddings = False
    want = fsdp._select_fsdp2_wrap_targets(model, {"LlamaDecoderLayer"})
    verl_vision_tables.apply()
    try:
        assert fsdp._select_fsdp2_wrap_targets(model, {"LlamaDecoderLayer"}) == want
    finally:
        restore_places(verl_vision_tables.places())
