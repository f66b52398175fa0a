"""The ranks that verl builds without weights, under the installed accelerate and transformers."""

import accelerate
import pytest
import torch
from mindgpt_patches import catalog, verl_meta_init
from mindgpt_patches.guard import restore_places
from torch import nn
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A saved Qwen3-VL with a head of its own, as 8B and 30B-A3B have."""
    text = {
        "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
        "num_key_value_heads": 1, "head_dim": 16, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 1, "out_hidden_size": 16,
        "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    path = tmp_path_factory.mktemp("untied")
    Qwen3VLForConditionalGeneration(config).save_pretrained(path)
    return path


@pytest.fixture
def patched():
    assert verl_meta_init.apply() == verl_meta_init.apply() == "applied"
    yield
    restore_places(verl_meta_init.places())


def load(folder):
    with accelerate.init_empty_weights():
        return Qwen3VLForConditionalGeneration.from_pretrained(folder)


def test_the_installed_host_has_the_fault(folder):
    register = nn.Module.register_parameter
    with pytest.raises(TypeError, match="unexpected keyword argument '_is_hf_initialized'"):
        load(folder)
    assert nn.Module.register_parameter is register
    assert not verl_meta_init._takes_marked_parameters()


def test_a_rank_without_weights_is_built(folder, patched):
    register = nn.Module.register_parameter
    model, whole = load(folder), Qwen3VLForConditionalGeneration.from_pretrained(folder)
    assert nn.Module.register_parameter is register
    empty = dict(model.named_parameters())
    assert {one.device.type for one in empty.values()} == {"meta"}
    assert {k: (v.shape, v.dtype) for k, v in empty.items()} == {
        k: (v.shape, v.dtype) for k, v in whole.named_parameters()
    }
    assert model.lm_head.weight is not model.get_input_embeddings().weight


def test_the_mark_stays_and_nothing_else_changes(patched):
    for mark in (True, False, None):
        given = nn.Parameter(torch.ones(2), requires_grad=False)
        if mark is not None:
            given._is_hf_initialized = mark
        with accelerate.init_empty_weights():
            module = nn.Module()
            module.weight = given
            module.bias = nn.Parameter(torch.ones(2))
            module.register_parameter("none", None)
        assert module.weight.is_meta and module.bias.is_meta and module.none is None and not given.is_meta
        assert module.bias.requires_grad and not module.weight.requires_grad
        for one in (given, module.weight):
            assert getattr(one, "_is_hf_initialized", None) is mark


def test_an_error_inside_leaves_torch_as_it_was(patched):
    register = nn.Module.register_parameter
    with pytest.raises(KeyError), accelerate.init_empty_weights():
        raise KeyError
    with pytest.raises(TypeError), accelerate.init_empty_weights():
        given = nn.Parameter(torch.ones(1))
        given._is_hf_initialized = given.unknown = True
        nn.Module().register_parameter("weight", given)
    assert given._is_hf_initialized is True
    assert nn.Module.register_parameter is register


def test_an_accelerate_without_the_fault_is_left_alone(monkeypatch):
    module = verl_meta_init.places()[0].owner
    fixed = verl_meta_init._hiding_the_mark(module.init_on_device)
    monkeypatch.setattr(module, "init_on_device", fixed)
    outcome = catalog.apply_patch("verl_meta_init", "auto", accelerator=False)
    assert (outcome.state, outcome.reason.split()[1]) == ("not needed", "accelerate")
    assert module.init_on_device is fixed
