import subprocess
import sys

import pytest
import yaml

from mindgpt_plugins.core.registry import PluginError, RegistryError
from mindgpt_plugins.llamafactory_ext.launch import main, read_host_arguments
from mindgpt_plugins.llamafactory_ext.settings import (
    LlamaFactorySettingsError,
    Section,
    check_host_arguments,
    parse_section,
)

STREAMING = {"streaming": True, "dataloader_num_workers": 1, "accelerator_config": {"dispatch_batches": False}}


def test_a_choice_is_a_name_or_a_name_with_options():
    section = parse_section(
        {"curriculum": "shuffled", "mixture": {"name": "fixed", "by": "dataset", "options": {"weights": {"a": 1}}}}
    )
    assert section.curriculum.written() == "shuffled"
    assert section.mixture.written() == {"name": "fixed", "by": "dataset", "options": {"weights": {"a": 1}}}
    assert Section.model_validate(section.model_dump()) == section
    assert section.loss.name == "weighted_ce"
    assert parse_section({"loss": None}).loss is None
    assert parse_section(None) == Section()


@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        (
            {"curiculum": "shuffled"},
            LlamaFactorySettingsError,
            "mindgpt.curiculum: unknown key 'curiculum'; did you mean 'curriculum'",
        ),
        ({"kl": {"sources": ["a"], "betta": 1}}, LlamaFactorySettingsError, "did you mean 'beta'"),
        ({"kl": {"sources": ["a"], "beta": 0}}, LlamaFactorySettingsError, "mindgpt.kl.beta"),
        ({"curriculum": "easy_to_hart"}, RegistryError, "did you mean 'easy_to_hard'"),
        (
            {"curriculum": {"name": "easy_to_hard", "options": {"pace": "root"}}},
            RegistryError,
            "no option 'pace'; did you mean 'pacing'",
        ),
        ({"loss": {"name": "weighted_ce", "options": {"weight": {}}}}, RegistryError, "did you mean 'weights'"),
        ({"plugins": ["no_such_module"]}, PluginError, "no_such_module"),
    ],
)
def test_bad_sections_name_place_and_fix(raw, error, message):
    with pytest.raises(error, match=message):
        parse_section(raw)


@pytest.mark.parametrize(
    ("raw", "host", "environment", "message"),
    [
        ({}, {"stage": "ppo"}, {}, "stage sft and dpo, not 'ppo'"),
        ({}, {}, {"USE_MCA": "1"}, "USE_MCA"),
        ({}, {"use_dft_loss": True}, {}, "use_dft_loss"),
        ({}, {"label_smoothing_factor": 0.1}, {}, "label_smoothing_factor"),
        ({}, {"moe_aux_loss_coef": 0.001}, {}, "moe_aux_loss_coef"),
        ({"curriculum": "shuffled"}, {"streaming": True}, {}, "streaming"),
        ({"curriculum": "shuffled"}, {"disable_shuffling": True}, {}, "disable_shuffling"),
        ({"curriculum": "shuffled"}, {"train_sampling_strategy": "group_by_length"}, {}, "train_sampling_strategy"),
        ({"curriculum": "easy_to_hard"}, {"packing": True}, {}, "goes with neat_packing only"),
        ({"curriculum": "bucketed"}, {"neat_packing": True}, {}, "curriculum bucketed: does not go with packing"),
        (
            {"loss": {"name": "weighted_ce", "options": {"length_weighting": "sqrt"}}},
            {"neat_packing": True},
            {},
            "loss.length_weighting: does not go with packing",
        ),
        ({}, {"streaming": True}, {}, "dataloader_num_workers: 1 or more"),
        ({}, {"streaming": True, "dataloader_num_workers": 1}, {}, "dispatch_batches: false"),
        ({}, STREAMING, {}, "mindgpt.sources: list them"),
        ({"sources": ["a"], "trace": "t"}, STREAMING, {}, "trace: does not go with streaming"),
        ({"trace": "t"}, {"neat_packing": True}, {}, "trace: does not go with packing"),
        ({"curriculum": "shuffled"}, {"dataloader_drop_last": True}, {}, "dataloader_drop_last"),
        ({"curriculum": "shuffled"}, {"ignore_data_skip": True}, {}, "ignore_data_skip"),
        ({"curriculum": "shuffled"}, {"accelerator_config": {"split_batches": True}}, {}, "split_batches"),
        ({"curriculum": "self_paced"}, {"stage": "dpo"}, {}, "only stage sft"),
        ({"curriculum": "self_paced", "loss": None}, {}, {}, "a loss of ours"),
        (
            {"mixture": {"name": "dynamic", "options": {"weights": {"a": 1}}}},
            {"stage": "dpo"},
            {},
            "mindgpt.mixture: follows",
        ),
        ({"mixture": {"name": "dynamic", "by": "dataset", "options": {"weights": {"a": 1}}}}, {}, {}, "set by: source"),
        (
            {"mixture": {"name": "dynamic", "options": {"weights": {"a": 1}, "signal": "eval_accuracy"}}},
            {"eval_dataset": "dev"},
            {},
            "needs the host's eval_on_each_dataset, eval_strategy, compute_accuracy",
        ),
        ({"loss": "weighted_ce"}, {"stage": "dpo"}, {}, "mindgpt.loss"),
        ({"kl": {"sources": ["a"]}}, {"stage": "dpo"}, {}, "mindgpt.kl"),
        ({"kl": {"sources": ["a"]}, "loss": None}, {}, {}, "remove `loss: null`"),
    ],
)
def test_what_could_not_act_is_refused(raw, host, environment, message):
    with pytest.raises(LlamaFactorySettingsError, match=message):
        check_host_arguments(parse_section(raw), host, environment)


def test_ordinary_combinations_pass():
    check_host_arguments(parse_section({"curriculum": "easy_to_hard"}), {"stage": "dpo"}, {})
    check_host_arguments(
        parse_section({"loss": {"name": "weighted_ce", "options": {"weights": {"a": 2.0}}}}), {"packing": True}, {}
    )
    check_host_arguments(parse_section({"curriculum": "easy_to_hard"}), {"neat_packing": True}, {})
    check_host_arguments(parse_section({"sources": ["a"]}), STREAMING, {})
    measured = {"eval_dataset": "dev", "eval_on_each_dataset": True, "eval_strategy": "steps"}
    dynamic = {"mixture": {"name": "dynamic", "options": {"weights": {"a": 1}, "signal": "eval_loss"}}}
    check_host_arguments(parse_section(dynamic), {**measured, "stage": "dpo"}, {})
    check_host_arguments(parse_section({"loss": None}), {"use_dft_loss": True}, {"USE_MCA": "0"})


def test_what_a_section_needs_of_the_data():
    assert not parse_section({}).needs_source()
    assert parse_section({"loss": {"name": "weighted_ce", "options": {"weights": {"a": 1.0}}}}).needs_source()
    assert not parse_section(
        {"mixture": {"name": "fixed", "by": "dataset", "options": {"weights": {"a": 1}}}}
    ).needs_source()
    assert parse_section({"curriculum": "easy_to_hard"}).needs_difficulty()
    assert not parse_section({"curriculum": "shuffled"}).needs_difficulty()


def test_overrides_reach_into_the_section(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({"learning_rate": 1e-4, "mindgpt": {"curriculum": "shuffled"}}))
    got = read_host_arguments(path, ["mindgpt.curriculum.name=easy_to_hard", "learning_rate=0.1"])
    assert got == {"learning_rate": 0.1, "mindgpt": {"curriculum": {"name": "easy_to_hard"}}}
    with pytest.raises(LlamaFactorySettingsError, match=r"missing\.yaml"):
        read_host_arguments(tmp_path / "missing.yaml", [])


def test_a_fault_is_one_line_and_exit_2(tmp_path, capsys):
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({"stage": "sft", "mindgpt": {"curiculum": "shuffled"}}))
    with pytest.raises(SystemExit) as stopped:
        main(["train", str(path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_settings_import_no_host():
    heavy = "('torch', 'transformers', 'llamafactory')"
    code = f"import sys, mindgpt_plugins.llamafactory_ext.launch; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
