"""The ``interpolate`` stage: how it chooses, and a run of it on a tiny model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.interpolate.__main__ import main
from mindgpt_plugins.stages.interpolate.checkpoint import MergeError
from mindgpt_plugins.stages.interpolate.choose import pick_candidate, summarise_candidate
from mindgpt_plugins.stages.interpolate.config import InterpolateConfig
from mindgpt_plugins.stages.interpolate.run import interpolate_checkpoints
from mindgpt_plugins.stages.interpolate.stage import Interpolate


def candidate(alpha: float, domain: float, general: float, fell: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"alpha": alpha, "domain": domain, "general": general, "fell": list(fell)}


def test_the_best_domain_among_those_in_which_nothing_fell() -> None:
    table = [candidate(0, 0.2, 0.8), candidate(0.5, 0.5, 0.79), candidate(1, 0.6, 0.6, ("colour",))]
    best = pick_candidate(table, "domain")
    assert best is not None and best["alpha"] == 0.5
    assert pick_candidate(table[2:], "domain") is None


def test_mean_and_ties() -> None:
    table = [candidate(0.25, 0.4, 0.8), candidate(0.5, 0.5, 0.6), candidate(0.75, 0.5, 0.6)]
    by_mean, by_domain = pick_candidate(table, "mean"), pick_candidate(table, "domain")
    assert by_mean is not None and by_mean["alpha"] == 0.25
    assert by_domain is not None and by_domain["alpha"] == 0.5  # the nearer of two equal ones


def test_a_fall_on_too_few_items_still_counts_when_choosing() -> None:
    groups = [
        {"group": "a", "verdict": "passed", "change": -0.01},
        {"group": "b", "verdict": "undecided", "change": -0.02},
        {"group": "c", "verdict": "undecided", "change": -0.05},
        {"group": "d", "verdict": "failed", "change": -0.2},
    ]
    cells = [{"set": "dev", "source": s, "capability": "all", "n": 10, "correct": 4} for s in ("general", "domain")]
    gate = {"set": "dev", "groups": groups, "margin": 0.03, "retention": 0.9}
    found = summarise_candidate({"gate": gate, "cells": cells, "domain": ["domain"], "general": ["general"]})
    assert (found["fell"], found["undecided"]) == (["c", "d"], ["b", "c"])


@pytest.mark.parametrize("keys", [{}, {"alpha": 0.5, "choose": {"sets": ["w/dev"]}}])
def test_alpha_is_given_or_chosen(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either alpha or choose"):
        InterpolateConfig.model_validate({"kind": "interpolate", "start": "a", "end": "b", **keys})


@pytest.fixture
def context(tmp_path: Path, tiny_model: Path, datasets: Path) -> Context:
    """``start`` and ``end`` differ in noise on every weight."""
    other = tmp_path / "end"
    shutil.copytree(tiny_model, other)
    torch.manual_seed(0)
    weights = {name: t + 0.05 * torch.randn_like(t) for name, t in load_file(other / "model.safetensors").items()}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "stage").mkdir()
    inputs = {"start": {"model": str(tiny_model)}, "end": {"model": str(other)}, "world": {"datasets": str(datasets)}}
    return Context("x", tmp_path / "stage", inputs, seed=0, max_pixels=64 * 64)


def render(context: Context, **keys: Any) -> Path:
    settings = {"kind": "interpolate", "start": "start", "end": "end", **keys}
    config = InterpolateConfig.model_validate(settings)
    assert Interpolate().check(config, context) == []
    Interpolate().render(config, context)
    return context.folder / "interpolate.json"


def test_a_fixed_alpha_leaves_a_model_that_loads(context: Context, tiny_model: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    main(render(context, alpha=0.5))
    model = context.folder / "model"
    halfway = AutoModelForImageTextToText.from_pretrained(model).state_dict()
    ends = [AutoModelForImageTextToText.from_pretrained(context.model(name)).state_dict() for name in ("start", "end")]
    assert all(torch.allclose(t, (ends[0][n] + ends[1][n]) / 2, atol=1e-6) for n, t in halfway.items())
    AutoProcessor.from_pretrained(model)


def test_choosing_evaluates_every_candidate_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = {"grid": [0.5, 1.0], "sets": ["world/dev"], "margin": 0.3, "batch_size": 8, "max_new_tokens": 6}
    path = render(context, choose=choice)
    main(path)
    chosen = json.loads((context.folder / "chosen.json").read_text())
    assert [c["alpha"] for c in chosen["candidates"]] == [0.0, 0.5, 1.0]
    assert [c["offered"] for c in chosen["candidates"]] == [False, True, True]
    assert chosen["alpha"] in (0.5, 1.0)
    assert not list((context.folder / "candidates").glob("*/model"))
    lines = [json.loads(line) for line in (context.folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["total"], line["alpha"]) for line in lines] == [(1, 3, 0.0), (2, 3, 0.5), (3, 3, 1.0)]
    monkeypatch.setattr(
        "mindgpt_plugins.stages.interpolate.choose.run_evaluation", None
    )  # a second run finds everything done
    main(path)


def test_no_candidate_that_keeps_general_ability_is_an_error_with_the_table(context: Context) -> None:
    choice = {"grid": [0.5], "sets": ["world/dev"], "margin": 0.3, "batch_size": 8, "max_new_tokens": 6}
    path = render(context, choose=choice)
    main(path)
    scores = context.folder / "candidates" / "0.5" / "scores.json"
    fallen = json.loads(scores.read_text())
    fallen["gate"]["groups"][0]["verdict"] = "failed"
    scores.write_text(json.dumps(fallen))
    with pytest.raises(MergeError, match=r"no alpha of the grid.*a = 0.5: domain .*fell: perception.colour"):
        main(path)


def test_a_real_adapter_of_a_real_model(tmp_path: Path, tiny_model: Path) -> None:
    """PEFT's merge of LoRA on every linear layer of a Qwen3-VL's language model is the reference."""
    import peft
    from transformers import AutoModelForImageTextToText

    targets = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|up_proj|gate_proj|down_proj)"
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets)
    base = AutoModelForImageTextToText.from_pretrained(tiny_model)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    model = peft.get_peft_model(base, config)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "adapter")
    after = model.merge_and_unload().state_dict()
    interpolate_checkpoints(tiny_model, tmp_path / "adapter", 0.5, tmp_path / "out" / "model")
    got = AutoModelForImageTextToText.from_pretrained(tmp_path / "out" / "model").state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert len(changed) >= 7
    assert all(torch.allclose(got[name], (before[name] + after[name]) / 2, atol=1e-6) for name in before)
