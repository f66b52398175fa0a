"""Keys and values of ``verl:`` and ``parallel:``, as the installed verl's configuration takes them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl import verl_keys
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL
from mindgpt_plugins.verl_ext.host_keys import describe_default_misfit, find_verl_folder

pytest.importorskip("hydra")


def check(folder: Path, cpu: bool = True, **changes: object) -> list[str]:
    inputs = {"base": {"model": "/models/base"}, "world": {"datasets": str(folder)}}
    config = RLConfig.model_validate({"kind": "rl", "model": "base", "train": "world/rl", "steps": 10, **changes})
    return RL().check(config, Context("rl", folder, inputs, seed=5, cpu=cpu))


@pytest.mark.parametrize(
    ("value", "default", "problem"),
    [
        (0.01, 0, None),
        (None, 3, None),
        ("anything", None, None),
        (3, "${trainer.save_freq}", None),
        ("${trainer.nnodes}", 3, None),
        ("console", ["console", "wandb"], None),
        (["a.parquet"], "~/data", None),
        (True, 1, "must be a number as verl's default 1 is, got true or false: True"),
        (1, True, "must be true or false as verl's default True is, got a number: 1"),
        ("often", 20, "must be a number as verl's default 20 is, got text: 'often'"),
        ("1e-6", 1e-6, "must be a number as verl's default 1e-06 is, got text: '1e-6'; YAML reads 1e-6 as text"),
        (5, {"lr": 1}, "must be a mapping"),
        ({"a": 1}, 5, "must be a number"),
    ],
)
def test_a_value_is_held_against_verls_default(value, default, problem):
    found = describe_default_misfit(value, default)
    assert found is None if problem is None else found is not None and found.startswith(problem)


@pytest.mark.parametrize(
    "verl",
    [
        {"data": {"train_max_samples": 720}, "actor_rollout_ref": {"actor": {"optim": {"betas": [0.9, 0.95]}}}},
        {"trainer.logger": "console", "+data": {"mine": 1}, "trainer": {"+mine": {"a": [1, "b c"]}}},
        {"++trainer.test_freq": 5, "trainer": {"critic_warmup": None}},
        {"actor_rollout_ref": {"rollout": {"engine_kwargs": {"vllm": {"+max_num_seqs": 4}}}}},
    ],
)
def test_what_verl_knows_or_a_plus_adds_passes(verl, tmp_path):
    assert check(tmp_path, verl=verl) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"verl": {"data": {"trian_max_samples": 3}}},
            "verl.data.trian_max_samples: verl has no key 'trian_max_samples' in data; did you mean 'train_max_",
        ),
        (
            {"verl": {"actor_rollout_ref": {"actor": {"optimizer_offloadz": True}}}},
            "in actor_rollout_ref.actor; did you mean 'actor_rollout_ref.actor.fsdp_config.optimizer_offload'?",
        ),
        ({"verl": {"triner": {"test_freq": 3}}}, "in its configuration; did you mean 'trainer'?"),
        ({"verl": {"trainer": {"test_freq": "often"}}}, "verl.trainer.test_freq: must be a number"),
        (
            {"verl": {"trainer": {"test_freq": {"every": 3}}}},
            "verl's trainer.test_freq is -1 and has no keys of its own",
        ),
        ({"verl": {"actor_rollout_ref": {"actor": {"optim": 3}}}}, "actor.optim: must be a mapping"),
        ({"verl": {"trainer": {"+test_freq": 3}}}, "verl has this key (-1 by default), and + only adds new ones"),
        ({"verl": {"+mine": {"a=b": 1}}}, "verl: Hydra refuses the settings: "),
        (
            {"parallel": {"ulysses_sequence_paralel_size": 2}},
            "parallel.ulysses_sequence_paralel_size: verl has no key 'ulysses_sequence_paralel_size' in "
            "actor_rollout_ref.actor.fsdp_config; did you mean 'ulysses_sequence_parallel_size'?",
        ),
    ],
)
def test_what_verl_does_not_take_is_refused_with_the_nearest(changes, message, tmp_path):
    (problem,) = check(tmp_path, **changes)
    assert message in problem


@pytest.mark.parametrize(
    ("verl", "said"),
    [
        ({"data": {"max_prompt_length": 9}}, "verl.data.max_prompt_length: 9 is not what the recipe says: its own key "
         "`max_prompt_tokens` decides (1024 now)"),
        ({"actor_rollout_ref": {"actor": {"optim": {"lr": 0.5}}}}, "its own key `lr` decides (1e-06 now)"),
        ({"++trainer.save_freq": 7}, "its own key `save_every` decides (20 now)"),
    ],
)  # fmt: skip
def test_what_fights_a_key_of_the_recipe_is_refused(verl, said, tmp_path):
    (problem,) = check(tmp_path, verl=verl)
    assert said in problem
    assert check(tmp_path, verl={"trainer": {"save_freq": 20}}) == []  # says the same


@pytest.mark.parametrize("size", [1.5, True, "two", 0])
def test_a_parallel_size_is_a_whole_number(size, tmp_path):
    problems = check(tmp_path, parallel={"ulysses_sequence_parallel_size": size}, workers=2)
    assert any("parallel.ulysses_sequence_parallel_size: must be a whole number of at least 1" in p for p in problems)


def test_megatrons_keys_are_those_of_its_own_configuration(tmp_path):
    moe = {"strategy": "megatron", "workers": 2, "cpu": False}
    assert check(tmp_path, parallel={"tensor_model_parallel_size": 2}, **moe) == []
    (problem,) = check(tmp_path, parallel={"tensor_parallel_size": 2}, **moe)
    assert problem.startswith("parallel.tensor_parallel_size: verl has no key 'tensor_parallel_size'")


def test_verl_is_found_without_running_it(tmp_path):
    code = (
        "import sys; from mindgpt_plugins.verl_ext import host_keys as h; f = h.find_verl_folder(sys.executable);"
        "h._compose_defaults('mindgpt_cpu', f); print([m for m in ('verl', 'torch', 'ray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert find_verl_folder(sys.executable) is not None
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    assert find_verl_folder(str(other)) == find_verl_folder(sys.executable)


def test_without_verl_it_is_said_that_nothing_was_checked(tmp_path, monkeypatch, capsys):
    verl_keys._say_once.cache_clear()
    monkeypatch.setattr(verl_keys.host_keys, "find_verl_folder", lambda python: None)
    assert check(tmp_path, verl={"trainer": {"test_freqq": 3}}) == []
    assert "verl is not installed here" in capsys.readouterr().err


def test_a_mixture_names_the_sources_of_the_prompts(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"data_source": ["domain"] * 6 + ["general"] * 2}), tmp_path / "rl.parquet")

    def mixed(**weights: float) -> list[str]:
        return check(tmp_path, curriculum="shuffled", mixture={"name": "fixed", "options": {"weights": weights}})

    assert mixed(domain=3, general=1) == mixed(domain=3, general=0) == []
    assert "2 of 8 rows come from 'general', which no weight names" in mixed(domain=1)[0]
    assert "no examples come from 'domian'; did you mean 'domain'?" in mixed(domian=1, general=1)[0]
    assert "must be a number >= 0, got -1" in mixed(domain=-1, general=1)[0]
    (tmp_path / "rl.parquet").unlink()
    assert mixed(domian=1) == []  # the prompts are not there yet
    assert "must be a number >= 0, got -1" in mixed(domian=-1)[0]


def test_a_stage_asks_the_verl_of_its_own_interpreter(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(verl_keys.host_keys, "find_verl_folder", lambda python: asked.append(python))
    config = RLConfig.model_validate(
        {"kind": "rl", "model": "m", "train": "world/rl", "steps": 1, "verl": {"trainer": {"test_freq": 2}}}
    )
    context = Context("rl", tmp_path, {"world": {"datasets": str(tmp_path)}}, seed=0)
    RL().check(config, replace(context, python="/env/bin/python"))
    assert asked == ["/env/bin/python"]
