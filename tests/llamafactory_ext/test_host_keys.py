"""Keys, names and values of ``llamafactory:``, as the installed LLaMA-Factory takes them."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import lf_assets
import pytest

from mindgpt_plugins.llamafactory_ext.host_keys import describe_misfit
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.dpo.config import DPOConfig
from mindgpt_plugins.stages.dpo.stage import DPOStage
from mindgpt_plugins.stages.sft import host_check
from mindgpt_plugins.stages.sft.config import SFTConfig
from mindgpt_plugins.stages.sft.stage import SFTStage


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


@pytest.mark.parametrize(
    ("value", "hint", "choices", "problem"),
    [
        (True, bool, None, None),
        ("maybe", bool, None, "must be true or false, got 'maybe'"),
        ("false", bool, None, "must be true or false, got 'false'"),  # the host would take the text for true
        (1, bool, None, "must be true or false, got 1"),
        (3, int, None, None),
        (3.0, int, None, "must be a whole number, got 3.0"),
        (True, int, None, "must be a whole number, got true"),
        (3, float | None, None, None),
        (None, int, None, None),
        ("1e-3", float, None, "must be a number, got '1e-3'"),
        (5, str, None, None),
        (["a", "b"], list[str] | str | None, None, None),
        (["a", {}], list[str] | None, None, "must be a list or null"),
        ({"a": 1}, dict[str, Any] | str | None, None, None),
        ({"a": 1}, str | None, None, "must be text or null"),
        ("fast", Speed | str, ["slow", "fast"], None),
        ("fats", Speed | str, ["slow", "fast"], "must be one of slow, fast, got 'fats'; did you mean 'fast'?"),
        ("slow", Speed, None, None),
        ("quick", Literal["slow", "fast"], None, "must be one of slow, fast, got 'quick'"),
        ("x", str, [str(i) for i in range(40)], "must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …, got 'x'"),
    ],
)
def test_a_value_is_held_against_the_annotation_of_its_field(value, hint, choices, problem):
    found = describe_misfit(value, hint, choices)
    assert found is None if problem is None else found is not None and found.startswith(problem)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    lf_assets.write_data(tmp_path / "data", size=2)
    inputs = {"data": {"datasets": str(tmp_path / "data")}, "base": {"model": str(tmp_path / "model")}}
    return Context("x", tmp_path / "stage", inputs, seed=0)


def check(context: Context, **changes: Any) -> list[str]:
    raw = {"kind": "sft", "model": "base", "data": ["data/domain"], "max_steps": 8, "batch_size": 4, **changes}
    return SFTStage().check(SFTConfig.model_validate(raw), context)


GOOD = {
    "weight_decay": 0.1,
    "flash_attn": "sdpa",
    "deepspeed": None,
    "report_to": ["tensorboard"],
    "gradient_checkpointing_kwargs": {"use_reentrant": False},
    "accelerator_config": {"dispatch_batches": False},
    "optim": "adamw_torch_fused",
    "max_grad_norm": None,
    "adam_beta2": "95e-2",  # YAML 1.1 reads 1e-3 as text, and the host's reader as a number
    "train_on_prompt": False,
    "learning_rate": 1e-5,  # what the recipe says too
}
BAD = [
    ({"weight_decai": 0.1}, "llamafactory.weight_decai: LLaMA-Factory has no such key; did you mean 'weight_decay'?"),
    ({"compute_accuracy": "maybe"}, "llamafactory.compute_accuracy: must be true or false, got 'maybe'"),
    ({"eval_strategy": False}, "llamafactory.eval_strategy: must be one of no, steps, epoch, got false"),
    ({"preprocessing_num_workers": "two"}, "llamafactory.preprocessing_num_workers: must be a whole number or null"),
    (
        {"mask_history": True, "train_on_prompt": True},
        "llamafactory: LLaMA-Factory refuses the settings: `mask_",
    ),
    ({"loraplus_lr_ratio": 3.0}, "`loraplus_lr_ratio` is only valid for LoRA training"),
]


def test_the_host_itself_judges_keys_names_and_values(context):
    pytest.importorskip("llamafactory")
    assert check(context, llamafactory=GOOD) == []
    for keys, message in BAD:
        (problem,) = check(context, llamafactory=keys)
        assert message in problem
    (problem,) = check(context, template="qwen4_vl")
    assert problem.startswith("template: LLaMA-Factory has no template 'qwen4_vl'; did you mean 'qwen")
    (problem,) = check(context, lr_scheduler="cosin")
    assert problem.startswith("lr_scheduler: must be one of ") and problem.endswith("did you mean 'cosine'?")
    pairs = {"kind": "dpo", "model": "base", "data": ["data/pairs"], "epochs": 1, "pref_loss": "orpo"}
    dpo = DPOConfig.model_validate({**pairs, "llamafactory": {"dpo_label_smoothing": 0.1}})
    (problem,) = DPOStage().check(dpo, context)
    assert "`dpo_label_smoothing` is only valid for sigmoid" in problem


def test_a_stage_at_our_defaults_does_not_start_the_host(context, monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("the host was asked")

    monkeypatch.setattr(host_check, "_ask", fail)
    assert check(context) == []
    with pytest.raises(AssertionError, match="was asked"):
        check(context, llamafactory={"weight_decay": 0.1})


def test_without_the_host_it_is_said_that_nothing_was_checked(context, monkeypatch, capsys):
    host_check._say_once.cache_clear()
    monkeypatch.setattr(host_check.compat, "find_installed_version", lambda name: None)
    assert check(context, llamafactory={"weight_decai": 0.1}) == []
    assert "llamafactory is not installed here" in capsys.readouterr().err


def test_an_interpreter_that_cannot_answer_is_named(context, tmp_path, capsys):
    from dataclasses import replace

    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken interpreter >&2\nexit 1\n")
    broken.chmod(0o755)
    assert check(replace(context, python=str(broken)), llamafactory={"weight_decai": 0.1}) == []
    said = capsys.readouterr().err
    assert str(broken) in said and "broken interpreter" in said and "are not checked" in said
    assert str(broken) != sys.executable


@pytest.mark.parametrize(
    ("keys", "ours"),
    [
        ({"freeze_vision_tower": "maybe"}, "freeze_vision_tower"),
        ({"model_name_or_path": "elsewhere"}, "model"),
        ({"dataset": "x"}, "data"),
        ({"max_steps": 6}, "max_steps"),
        ({"warmup_ratio": 0.1}, "warmup"),
        ({"use_cpu": False}, "device"),
    ],
)
def test_a_key_that_fights_the_recipes_own_is_refused_with_the_one_that_decides(context, keys, ours):
    (problem,) = check(context, llamafactory=keys)
    (key,) = keys
    assert problem.startswith(f"llamafactory.{key}: ") and f"its own key `{ours}` decides" in problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixture": {"name": "fixed", "options": {"weights": {"domain": -1}}}}, "must be a number >= 0, got -1"),
        (
            {"mixture": {"name": "fixed", "options": {"weights": {"domian": 1}}}},
            "no examples come from 'domian'; did you mean 'domain'?",
        ),
        (
            {
                "data": ["data/domain", "data/general"],
                "mixture": {"name": "fixed", "options": {"weights": {"domain": 1}}},
            },
            "2 of 4 rows come from 'general', which no weight names",
        ),
        ({"mixture": {"name": "fixed"}}, "mixture 'fixed' needs the option 'weights'"),
        (
            {"loss": {"name": "weighted_ce", "options": {"weights": {"domian": 2}}}},
            "loss: no examples come from 'domian'",
        ),
        ({"kl": {"sources": ["genral"]}}, "kl.sources: no examples come from 'genral'"),
        ({"mixture": {"name": "fixd", "options": {"weights": {}}}}, "did you mean 'fixed'?"),
    ],
)
def test_sources_of_mixture_loss_and_anchor_are_those_of_the_rows(context, changes, message):
    (problem,) = check(context, **changes)
    assert message in problem


def test_a_weight_of_zero_leaves_a_source_out_on_purpose(context):
    weights = {"name": "fixed", "options": {"weights": {"domain": 1, "general": 0}}}
    assert check(context, data=["data/domain", "data/general"], mixture=weights) == []
