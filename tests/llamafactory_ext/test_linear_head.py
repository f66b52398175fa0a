"""Calling a model whose head computes something else, on small real modules."""

import copy
import types

import pytest
import torch
from mindgpt_patches import PatchRefused

from mindgpt_plugins.llamafactory_ext import linear_head


class Small(torch.nn.Module):
    """Embedding, a layer and a head, with the interface of a Hugging Face model."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.embed, self.lm_head = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
        self.scale = scale

    def get_output_embeddings(self):
        return self.lm_head

    def forward(self, input_ids):
        return types.SimpleNamespace(logits=self.lm_head(self.embed(input_ids).tanh()) * self.scale)


def test_the_head_computes_for_one_call_only():
    model, ids = Small(), torch.arange(6).view(2, 3)
    want = model(ids).logits.logsumexp(-1).sum()
    got = linear_head.run_headless_forward(
        model, model, {"input_ids": ids}, lambda x, w, b: (x @ w.t()).logsumexp(-1).sum()
    )
    torch.testing.assert_close(got, want)
    assert "forward" not in vars(model.lm_head)
    assert model(ids).logits.shape == (2, 3, 7)


def test_a_failure_inside_puts_the_head_back():
    model = Small()

    def fails(*args):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        linear_head.run_headless_forward(model, model, {"input_ids": torch.arange(3)}, fails)
    assert "forward" not in vars(model.lm_head)


def test_a_model_that_scales_its_logits_is_refused():
    model = Small(scale=0.5)
    with pytest.raises(PatchRefused, match="changes its logits after the head"):
        linear_head.run_headless_forward(
            model, model, {"input_ids": torch.arange(3)}, lambda x, w, b: (x @ w.t()).sum()
        )


def test_auto_looks_at_the_size():
    model = Small()
    assert linear_head.decide_hidden_loss("auto", model, 1000, None).state == "not needed"
    assert linear_head.decide_hidden_loss("auto", model, 2**28 // 7 + 1, None).state == "applied"
    assert linear_head.decide_hidden_loss("on", model, 1, None).state == "applied"
    assert linear_head.decide_hidden_loss("off", model, 2**40, None).state == "off"


def test_what_stands_in_the_way():
    model = Small()
    assert "an anchor" in linear_head.decide_hidden_loss("auto", model, 2**40, "an anchor").reason
    with pytest.raises(PatchRefused, match="an anchor.*off"):
        linear_head.decide_hidden_loss("on", model, 1, "an anchor")
    odd = copy.deepcopy(model)
    odd.lm_head = torch.nn.Sequential(odd.lm_head)
    assert linear_head.decide_hidden_loss("auto", odd, 2**40, None).state == "refused"
    model.lm_head.forward = lambda x: x
    assert "another package" in linear_head.decide_hidden_loss("auto", model, 2**40, None).reason
