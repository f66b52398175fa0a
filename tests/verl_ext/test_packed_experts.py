"""What verl takes apart for rollout engines is put together again, for every mixture whose copy we train on CPU."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("verl.workers.engine.fsdp.utils")

from support import hub_folders  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText  # noqa: E402
from verl.workers.engine.fsdp.utils import unfuse_moe_params  # noqa: E402

from mindgpt_plugins.verl_ext.step.packed import pack_state_dict  # noqa: E402
from mindgpt_plugins.workbench.rehearse.shrink import shrink_model  # noqa: E402


@pytest.mark.parametrize(
    ("name", "auto"), [("qwen3_30b_a3b", AutoModelForCausalLM), ("qwen3_vl_30b_a3b", AutoModelForImageTextToText)]
)
def test_experts_come_back(name: str, auto: type, tmp_path: Path) -> None:
    shrink_model(hub_folders.make(name, tmp_path / "source", words=1000), tmp_path / "small")
    weights = auto.from_pretrained(tmp_path / "small").state_dict()
    sent = list(unfuse_moe_params(weights.items()))
    assert len(sent) > len(weights) + 32
    back = pack_state_dict(reversed(sent))
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[key], value) for key, value in weights.items())


def test_a_dense_model_stays_as_it_is() -> None:
    weights = {"model.layers.0.mlp.gate_proj.weight": torch.ones(2, 2), "lm_head.weight": torch.ones(1)}
    assert pack_state_dict(weights.items()) == weights
