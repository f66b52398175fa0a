"""What every patch of a host keeps to, whichever it is."""

import importlib
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mindgpt_patches import PatchRefused, catalog, pos_embed_cache
from mindgpt_patches.guard import fingerprint_function, replace_function, restore_places

MODULES = {
    name: importlib.import_module(f"mindgpt_patches.{name}") for name, entry in catalog.CATALOG.items() if entry.target
}
SLOW = {"verl_media_batch", "verl_tiled_mlp"}  # verl's engine takes seconds to import


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODULES])
def patch(request, monkeypatch):
    """Module of a patch, as if there were a GPU for the one that wants it, and its places as the host has them."""
    module = MODULES[request.param]
    if request.param == "liger_qwen3_vl":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    places = list(module.places())
    before = current(places)
    yield SimpleNamespace(name=request.param, module=module, places=places, before=before)
    restore_places(places)
    assert current(places) == before


def current(places):
    return [vars(place.owner)[place.name] for place in places]


def test_it_is_for_the_installed_host(patch):
    for place, original in zip(patch.places, patch.before, strict=True):
        assert fingerprint_function(original) in place.known


def test_off_leaves_the_host_alone(patch):
    assert catalog.apply_patch(patch.name, "off", accelerator=True).state == "off"
    assert current(patch.places) == patch.before


def test_twice_is_once(patch):
    assert str(patch.module.apply()).startswith("applied")
    once = current(patch.places)
    patch.module.apply()
    for mine, after, original in zip(once, current(patch.places), patch.before, strict=True):
        assert mine is after is not original
        assert mine.__wrapped__ is original
    restore_places(patch.places)
    assert current(patch.places) == patch.before


def test_one_changed_function_and_nothing_is_replaced(patch):
    for changed in patch.places:
        with pytest.MonkeyPatch.context() as host:
            host.setattr(changed.owner, changed.name, lambda self: None)
            found = current(patch.places)
            with pytest.raises(PatchRefused, match="not the one this patch is for"):
                patch.module.apply()
            assert current(patch.places) == found
            assert catalog.apply_patch(patch.name, "auto", accelerator=True).state in ("refused", "not needed")
            with pytest.raises(PatchRefused, match=rf"patches: \{{{patch.name}: off\}}"):
                catalog.apply_patch(patch.name, "on", accelerator=True)


# Liger's kernels compute in float32; they have a test of their own, in Triton's interpreter.
CERTIFIED = [name for name, module in MODULES.items() if hasattr(module, "certify") and name != "liger_qwen3_vl"]


@pytest.mark.parametrize("name", CERTIFIED)
def test_in_float64_it_is_the_host_to_the_last_digits(name):
    """Loss and gradients; the host's own function, differentiated by autograd, is the reference."""
    module = MODULES[name]
    module.apply()
    torch.set_default_dtype(torch.float64)
    pos_embed_cache._table.cache_clear()
    try:
        bound = 1e-6 if name == "verl_linear_log_probs" else 1e-12  # verl's softmax is float32 whatever it is given
        assert max(module.certify().values()) < bound
    finally:
        torch.set_default_dtype(torch.float32)
        pos_embed_cache._table.cache_clear()
        restore_places(module.places())


def test_a_function_that_is_gone():
    with pytest.raises(PatchRefused, match="a_host.gone does not exist; this patch is for a_host 1.0"):
        replace_function(ModuleType("a_host"), "gone", {"0": "a_host 1.0"}, lambda original: original)
