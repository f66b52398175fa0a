"""The ``sft`` and ``dpo`` stages: what they render and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import lf_assets
import pytest
import yaml
from pydantic import ValidationError

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.dpo.config import DPOConfig
from mindgpt_plugins.stages.dpo.stage import DPOStage
from mindgpt_plugins.stages.sft.config import SFTConfig
from mindgpt_plugins.stages.sft.stage import SFTStage


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Two input stages with the same set names in different folders, and a model."""
    for name in ("first", "second"):
        lf_assets.write_data(tmp_path / name, size=2)
    (tmp_path / "stage").mkdir()
    inputs = {
        "first": {"datasets": str(tmp_path / "first")},
        "second": {"datasets": str(tmp_path / "second")},
        "later": {"datasets": str(tmp_path / "not-there-yet")},
        "base": {"model": str(tmp_path / "model")},
    }
    return Context("x", tmp_path / "stage", inputs, seed=5, min_pixels=1024, max_pixels=4096)


def sft(**changes) -> SFTConfig:
    return SFTConfig.model_validate(
        {"kind": "sft", "model": "base", "data": ["first/domain"], "max_steps": 8, "batch_size": 4, **changes}
    )


def test_the_rendered_yaml(context):
    config = sft(
        data=[{"set": "first/domain", "weight": 3}, {"set": "second/domain", "weight": 1}],
        gradient_accumulation=2,
        curriculum={"name": "easy_to_hard", "options": {"pacing": "root"}},
        loss={"name": "weighted_ce", "options": {"weights": {"domain": 2.0}}},
        kl={"sources": ["domain"], "reference": "base"},
        llamafactory={"save_only_model": False, "weight_decay": 0.1},
    )
    (command,) = SFTStage().render(config, context)
    train = yaml.safe_load((context.folder / "train.yaml").read_text())
    assert command.argv == ("-m", "mindgpt_plugins.llamafactory_ext", "train", str(context.folder / "train.yaml"))
    assert command.env["CUDA_VISIBLE_DEVICES"] == ""
    assert train["per_device_train_batch_size"] == 2
    assert train["weight_decay"] == 0.1
    assert train["model_name_or_path"] == context.inputs["base"]["model"]
    assert (train["use_cpu"], train.get("bf16")) == (True, None)
    assert train["dataset"] == "first/domain,second/domain"
    info = json.loads((Path(train["dataset_dir"]) / "dataset_info.json").read_text())
    assert Path(info["second/domain"]["file_name"]) == Path(context.inputs["second"]["datasets"]) / "domain.json"
    assert train["mindgpt"] == {
        "curriculum": {"name": "easy_to_hard", "options": {"pacing": "root"}},
        "mixture": {
            "name": "fixed",
            "by": "dataset",
            "options": {"weights": {"first/domain": 3.0, "second/domain": 1.0}},
        },
        "media_dirs": {f"{name}/domain": context.inputs[name]["datasets"] for name in ("first", "second")},
        "loss": {"name": "weighted_ce", "options": {"weights": {"domain": 2.0}}},
        "kl": {"sources": ["domain"], "beta": 0.05, "reference": context.inputs["base"]["model"]},
        "metrics_path": str(context.folder / "metrics.jsonl"),
    }
    assert SFTStage().artefacts(config, context) == {"model": train["output_dir"]}
    assert SFTStage().check(config, context) == []


def test_one_folder_needs_only_the_hosts_media_dir(context):
    SFTStage().render(sft(data=["first/domain", "first/general"]), context)
    train = yaml.safe_load((context.folder / "train.yaml").read_text())
    assert train["media_dir"] == context.inputs["first"]["datasets"]
    assert "media_dirs" not in train["mindgpt"]


def test_lora_is_merged_by_the_hosts_export(context):
    config = sft(finetuning="lora", epochs=1, max_steps=None)
    train, export = SFTStage().render(config, context)
    assert export.argv[:3] == ("-m", "mindgpt_plugins.llamafactory_ext", "export")
    merged = yaml.safe_load((context.folder / "export.yaml").read_text())
    adapter = yaml.safe_load((context.folder / "train.yaml").read_text())["output_dir"]
    assert merged["adapter_name_or_path"] == adapter
    assert merged["export_dir"] == SFTStage().artefacts(config, context)["model"]


def test_gpu_runs_one_rank_per_worker_in_bf16(context):
    from dataclasses import replace

    (command,) = SFTStage().render(sft(workers=2), replace(context, cpu=False))
    train = yaml.safe_load((context.folder / "train.yaml").read_text())
    assert (command.env["FORCE_TORCHRUN"], command.env["NPROC_PER_NODE"]) == ("1", "2")
    assert "CUDA_VISIBLE_DEVICES" not in command.env
    assert train["bf16"] is True
    assert train["per_device_train_batch_size"] == 2
    assert "use_cpu" not in train


def test_dpo_renders_mpo_weights(context):
    config = DPOConfig.model_validate({"kind": "dpo", "model": "base", "data": ["first/pairs"], "epochs": 1})
    DPOStage().render(config, context)
    train = yaml.safe_load((context.folder / "train.yaml").read_text())
    wanted = {"stage": "dpo", "pref_loss": "sigmoid", "pref_beta": 0.1, "pref_bco_weight": 0.25, "pref_ftx": 1.0}
    assert wanted.items() <= train.items()
    assert "loss" not in train["mindgpt"]
    assert DPOStage().check(config, context) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"batch_size": 6, "gradient_accumulation": 4},
            "batch_size 6 is not divisible by gradient_accumulation x workers",
        ),
        ({"data": ["first/domian"]}, "no set 'domian'; it has: domain, general, plain, pairs; did you mean 'domain'?"),
        ({"data": ["first/pairs"]}, "single replies, not pairs"),
        ({"curriculum": "easy_to_hart"}, "did you mean 'easy_to_hard'"),
        ({"curriculum": {"name": "easy_to_hard", "options": {"pace": 1}}}, "did you mean 'pacing'"),
        ({"loss": {"name": "weighted_ce", "options": {"weight": {}}}}, "did you mean 'weights'"),
        ({"llamafactory": {"output_dir": "x"}}, "llamafactory.output_dir: is set by the pipeline"),
        ({"llamafactory": {"use_dft_loss": True}}, "use_dft_loss"),
        ({"llamafactory": {"stage": "dpo"}}, "its own key `kind` decides ('sft' now)"),
        ({"llamafactory": {"learning_rate": 0.5}}, "its own key `lr` decides (1e-05 now)"),
        ({"llamafactory": {"num_train_epochs": 2}}, "its own key `epochs` decides; set that one and remove this"),
    ],
)
def test_faults_are_seen_before_anything_runs(context, changes, message):
    problems = SFTStage().check(sft(**changes), context)
    assert len(problems) == 1
    assert message in problems[0]


def test_sets_of_stages_that_have_not_run_are_left_for_later(context):
    assert SFTStage().check(sft(data=["later/any"]), context) == []


def test_dpo_needs_pairs(context):
    config = DPOConfig.model_validate({"kind": "dpo", "model": "base", "data": ["first/domain"], "epochs": 1})
    (problem,) = DPOStage().check(config, context)
    assert "pairs of replies" in problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1}, "either epochs or max_steps"),
        ({"data": [{"set": "first/domain", "weight": 1}, "first/general"]}, "every set"),
        ({"data": [{"set": "first/domain", "weight": 0}]}, "all weights"),
        ({"data": [{"set": "first/domain", "weight": -1}]}, "greater than or equal to 0"),
        ({"data": ["first/domain", "first/domain"]}, "twice"),
        ({"learning_rate": 1}, "Extra inputs"),
    ],
)
def test_bad_configs_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        sft(**changes)


def test_references_are_found():
    config = sft(data=["first/domain", {"set": "second/domain"}], kl={"sources": ["a"], "reference": "earlier"})
    assert sorted(config.references()) == [
        ("dataset", "first/domain"),
        ("dataset", "second/domain"),
        ("model", "base"),
        ("model", "earlier"),
    ]
