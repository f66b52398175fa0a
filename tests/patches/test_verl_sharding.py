"""Sharding of vision towers that read an embedding's weight themselves, and of layers that share keys and values.

By verl's own function, on one gloo rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mindgpt_patches import verl_shared_keys, verl_vision_tables
from mindgpt_patches.guard import restore_places
from PIL import Image
from support.families import build_family
from torch import distributed
from torch.distributed.fsdp import MixedPrecisionPolicy

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


def compute_loss(folder: Path, mesh: Any = None) -> tuple[float, dict[str, float]]:
    """Loss of a model on one picture, and the sizes of its gradients; sharded over a mesh as verl does it."""
    family, model = find_family(load_processor(str(folder))), load_generator(str(folder)).train()
    if mesh is not None:
        policy = MixedPrecisionPolicy(param_dtype=torch.float32, reduce_dtype=torch.float32, cast_forward_inputs=True)
        fsdp.apply_fsdp2(model, {"mesh": mesh, "mp_policy": policy}, {})
    text = family.render_chat([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]}])
    inputs = family.encode([text], [[Image.linear_gradient("L").convert("RGB").resize((80, 96))]], return_tensors="pt")
    loss = model(**inputs, labels=inputs["input_ids"], use_cache=False).loss
    loss.backward()
    sizes = {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
    return float(loss.detach()), sizes


@pytest.fixture(scope="module")
def glm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_family("glm46v", tmp_path_factory.mktemp("glm"))


def compare(folder: Path, mesh: Any) -> dict[str, float]:
    """Sizes of a sharded model's gradients, which are those of the whole one."""
    loss, sizes = compute_loss(folder, mesh)
    want, whole = compute_loss(folder)
    assert loss == pytest.approx(want, rel=1e-5) and sizes.keys() == whole.keys()
    assert all(sizes[name] == pytest.approx(size, rel=1e-3, abs=1e-6) for name, size in whole.items())
    return sizes


def test_the_installed_host_has_the_fault(glm: Path, mesh: Any) -> None:
    with pytest.raises(RuntimeError, match=r"mixed torch\.Tensor and DTensor"):
        compute_loss(glm, mesh)


def test_the_tower_is_trained_and_the_numbers_are_those_of_the_whole_model(glm: Path, mesh: Any, patched: None) -> None:
    sizes = compare(glm, mesh)
    assert all(size > 0 for name, size in sizes.items() if "position_embedding" in name)


def test_layers_that_share_keys_find_them(tmp_path: Path, mesh: Any) -> None:
    folder = build_family("gemma4", tmp_path)
    with pytest.raises(KeyError):  # the host's fault
        compute_loss(folder, mesh)
    verl_shared_keys.apply()
    try:
        assert compare(folder, mesh)
    finally:
        restore_places(verl_shared_keys.places())


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
