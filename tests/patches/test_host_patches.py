"""Patches of functions of transformers and verl, and the guard they share."""

import contextlib
import subprocess
import sys

import pytest
import torch
from mindgpt_patches import processor_typed_dict, verl_linear_log_probs, verl_tiled_mlp
from mindgpt_patches.guard import restore_function


@pytest.fixture
def validate():
    import transformers.processing_utils as module

    yield lambda *args: module.validate_typed_dict(*args)
    restore_function(module, "validate_typed_dict")


def fresh(total=False):
    """A new class with the same annotations, as a processor makes in each call."""
    from typing import TypedDict

    return TypedDict("merged_typed_dict", {"size": int, "name": str}, total=total)


def test_equal_schemas_are_built_once(validate):
    from huggingface_hub.dataclasses import _build_strict_cls_from_typed_dict as build

    validate(fresh(), {"size": 1})
    before = build.cache_info().misses
    validate(fresh(), {"size": 1})
    assert build.cache_info().misses == before + 1  # stock: every class is another
    processor_typed_dict.apply()
    processor_typed_dict.apply()
    validate(fresh(), {"size": 1})
    before = build.cache_info().misses
    for _ in range(5):
        validate(fresh(), {"size": 2, "name": "x"})
    assert build.cache_info().misses == before


def test_what_is_wrong_is_still_wrong(validate):
    from huggingface_hub.errors import StrictDataclassFieldValidationError

    processor_typed_dict.apply()
    validate(fresh(), {"size": 1})
    with pytest.raises(StrictDataclassFieldValidationError, match="size"):
        validate(fresh(), {"size": "large"})
    with pytest.raises(TypeError, match="other"):
        validate(fresh(), {"other": 1})


@pytest.fixture
def fused():
    from verl.utils.experimental.torch_functional import FusedLinearForPPO

    yield FusedLinearForPPO(chunk_size=16)
    restore_function(FusedLinearForPPO, "forward")


def test_verl_log_probs_and_entropy_are_the_same_and_dw_is_more_exact(fused):
    def run(dtype):
        torch.manual_seed(0)
        hidden, weight = torch.randn(1, 512, 16).to(dtype), torch.randn(64, 16).to(dtype)
        tensors = [hidden.requires_grad_(), weight.requires_grad_()]
        log_probs, entropy = fused(*tensors, torch.randint(0, 64, (1, 512)), temperature=0.8)
        assert entropy.dtype == dtype and log_probs.dtype == torch.float32
        return log_probs, entropy, torch.autograd.grad((log_probs - 0.01 * entropy.float()).sum(), tensors)

    wide, narrow = run(torch.float32), run(torch.bfloat16)
    verl_linear_log_probs.apply()
    verl_linear_log_probs.apply()
    ours, ours_narrow = run(torch.float32), run(torch.bfloat16)
    torch.testing.assert_close(ours[:2], wide[:2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours[2], wide[2], rtol=1e-5, atol=1e-4)
    stock, better = (
        float((d_weight.float() - wide[2][1]).norm() / wide[2][1].norm())
        for d_weight in (narrow[2][1], ours_narrow[2][1])
    )
    assert better < stock


@pytest.mark.slow
def test_verl_builds_its_model_with_the_option(monkeypatch):
    import types

    import verl.models.transformers.tiled_mlp as tiled
    import verl.workers.engine.fsdp.transformer_impl as module

    places = [(module, "apply_monkey_patch"), (module.FSDPEngine, "_build_module")]
    before = [getattr(owner, name) for owner, name in places]
    seen = []
    monkeypatch.setattr(tiled, "apply_tiled_mlp_monkey_patch", lambda **kwargs: seen.append(kwargs))
    model = types.SimpleNamespace(config=types.SimpleNamespace(model_type="qwen3"))
    assert verl_tiled_mlp.apply() == verl_tiled_mlp.apply() == "applied"
    try:
        patched = module.FSDPEngine._build_module
        # What the engine does at this point, without loading a model.
        build = verl_tiled_mlp._remembering(
            lambda self: module.apply_monkey_patch(model=model, use_remove_padding=False)
        )
        for enabled in (False, True):
            option = {"enabled": enabled, "num_shards": 3}
            with contextlib.suppress(AttributeError, KeyError):  # what follows needs a real model
                build(types.SimpleNamespace(model_config=types.SimpleNamespace(tiled_mlp=option)))
        assert patched is not before[1]
        assert seen == [{"num_shards": 3, "model_type": "qwen3"}]
    finally:
        for owner, name in places:
            restore_function(owner, name)
    assert [getattr(owner, name) for owner, name in places] == before


def test_a_patch_waits_for_its_module():
    script = (
        "import sys; from mindgpt_patches.guard import run_after_import\n"
        "seen = []\n"
        "run_after_import('wave', lambda: seen.append(sys.modules['wave'].Wave_read))\n"
        "assert not seen and 'wave' not in sys.modules\n"
        "import wave\n"
        "assert seen == [wave.Wave_read]\n"
        "run_after_import('wave', lambda: seen.append(1)); assert seen[1:] == [1]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
