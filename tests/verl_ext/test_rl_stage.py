import json
import stat
import subprocess
import sys

import pytest

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.hydra_overrides import flatten_keys, render_override
from mindgpt_plugins.stages.rl.stage import RL

BASE = {"kind": "rl", "model": "base", "train": "world/rl_train", "steps": 10}


def config(**changes) -> RLConfig:
    return RLConfig.model_validate(BASE | changes)


def context(folder, **changes) -> Context:
    inputs = {"base": {"model": "/models/base"}, "world": {"datasets": "/data/world"}}
    return Context(**{"name": "rl", "folder": folder, "inputs": inputs, "seed": 5, **changes})


def test_render_writes_settings_and_a_private_token(tmp_path):
    command = RL().render(config(), context(tmp_path, plugins=("mine",)))[0]
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["plugins"] == ["mine"]
    assert settings["seed"] == 5
    assert settings["metrics_path"] == str(tmp_path / "metrics.jsonl")
    token = tmp_path / "ray_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    before = token.read_text()
    RL().render(config(), context(tmp_path))
    assert token.read_text() == before
    assert command.env["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert command.env["VERL_PLATFORM"] == "cpu"
    assert "data.train_files=/data/world/rl_train.parquet" in command.argv
    assert "actor_rollout_ref.model.path=/models/base" in command.argv
    ray = next(part for part in command.argv if "_temp_dir" in part).split("=")[1]
    assert len(ray) < 40  # Ray appends about 65 characters, and a socket's path may have 107


def test_on_cpu_ray_finds_a_name_for_every_rank_however_the_variable_was_set(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    command = RL().render(config(workers=2), context(tmp_path))[0]
    assert command.env["CUDA_VISIBLE_DEVICES"] == "-1,-1"
    assert "ray_kwargs.ray_init.num_gpus=2" in command.argv


def test_on_accelerators_nothing_of_the_cpu_default_is_used(tmp_path):
    commands = RL().render(config(workers=4), context(tmp_path, cpu=False))
    assert not {"VERL_PLATFORM", "CUDA_VISIBLE_DEVICES"} & set(commands[0].env)
    assert "actor_rollout_ref.rollout.name=vllm" in commands[0].argv
    assert commands[1].argv[:3] == ("-m", "verl.model_merger", "merge")


def test_the_hosts_section_replaces_what_we_render(tmp_path):
    verl = {"trainer": {"test_freq": 7, "+note": "a b"}, "actor_rollout_ref": {"actor": {"use_kl_loss": True}}}
    argv = RL().render(config(verl=verl), context(tmp_path))[0].argv
    assert [a for a in argv if "test_freq" in a] == ["trainer.test_freq=7"]
    assert "actor_rollout_ref.actor.use_kl_loss=true" in argv
    assert "+trainer.note='a b'" in argv


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rewards": {"acuracy": {}}}, "did you mean 'accuracy'"),
        ({"rewards": {"accuracy": {"options": {"x": 1}}}}, "no option 'x'"),
        ({"advantage": {"name": "modulate"}}, "did you mean 'modulated'"),
        ({"advantage": {"options": {"norm": 1}}}, "no option 'norm'"),
        ({"advantage": {"k": 16}}, "above the smallest group size 8"),
        ({"group_size_by_difficulty": {0.5: 2}, "micro_batch": 24}, "above the smallest group size 2"),
        ({"group_size": 4}, "advantage.k is 4, the size of the groups"),
        ({"mode": "separate_async"}, "on CPU use mode: sync or colocate_async"),
        ({"mixture": {"name": "fixxed", "options": {"weights": {}}}}, "there is no mixture 'fixxed'"),
        ({"advantage": {"lambda": 2}}, "must stay in"),
        ({"curriculum": {"name": "easy2hard"}}, "curriculum.name: there is no sampler 'easy2hard'"),
        ({"workers": 3}, "cannot be shared by workers = 3"),
        ({"micro_batch": 24}, "not divisible by micro_batch = 24"),
        ({"verl": {"trainer": {"use_v1": False}}}, "verl.trainer.use_v1: trainer.use_v1 is set by this stage"),
        ({"verl": {"trainer": {"v1": {"trainer_mode": "sync"}}}}, "verl.trainer.v1.trainer_mode"),
        ({"verl": {"reward": {"custom_reward_function": {"path": "x.py"}}}}, "reward.custom_reward_function is set"),
    ],
)
def test_check_finds(changes: dict, problem: str, tmp_path):
    found = RL().check(config(**changes), context(tmp_path))
    assert len(found) == 1
    assert problem in found[0]


def test_check_is_silent_when_all_is_well(tmp_path):
    assert RL().check(config(), context(tmp_path)) == []
    uneven = config(group_size_by_difficulty={0.5: 13}, micro_batch=24, mode="colocate_async")
    assert RL().check(uneven, context(tmp_path)) == []


def test_rollouts_on_gpus_of_their_own_need_to_be_told_which(tmp_path):
    found = RL().check(config(mode="separate_async"), context(tmp_path, cpu=False))
    assert [message.split(" needs ")[1].split(" ")[0] for message in found] == [
        "verl.actor_rollout_ref.rollout.nnodes",
        "verl.actor_rollout_ref.rollout.n_gpus_per_node",
        "verl.actor_rollout_ref.rollout.checkpoint_engine.backend",
    ]
    rollout = {"nnodes": 1, "n_gpus_per_node": 4, "checkpoint_engine": {"backend": "nccl"}}
    verl = {
        "actor_rollout_ref": {"rollout": rollout},
        "trainer": {"v1": {"separate_async": {"parameter_sync_step": 3}}},
    }
    (message,) = RL().check(config(mode="separate_async", verl=verl), context(tmp_path, cpu=False))
    assert "prompts_per_step = 16 is not divisible" in message
    verl["trainer"]["v1"]["separate_async"]["parameter_sync_step"] = 8
    good = config(mode="separate_async", verl=verl)
    assert RL().check(good, context(tmp_path, cpu=False)) == []
    argv = RL().render(good, context(tmp_path, cpu=False))[0].argv
    assert "trainer.v1.trainer_mode=mindgpt_separate_async" in argv
    assert "actor_rollout_ref.actor.ppo_mini_batch_size=2" in argv


def test_a_plugin_that_raises_is_a_problem(tmp_path):
    plugin = tmp_path / "broken.py"
    plugin.write_text("raise RuntimeError('oh')")
    (found,) = RL().check(config(), context(tmp_path, plugins=(str(plugin),)))
    assert "raised on import: RuntimeError: oh" in found


def test_plugins_kept_out_of_verl_are_a_problem(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "none")
    (found,) = RL().check(config(), context(tmp_path))
    assert "keeps verl from loading mindgpt-plugins" in found


def test_a_run_without_our_trainer_is_not_a_result(tmp_path):
    *_, last = RL().render(config(), context(tmp_path))
    command = [sys.executable, *last.argv]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("mindgpt: verl finished without our trainer and rewards")
    (tmp_path / "loaded.json").write_text("{}")
    assert subprocess.run(command).returncode == 0


def test_artefacts(tmp_path):
    folder = tmp_path / "checkpoints/global_step_10/actor/huggingface"
    assert RL().artefacts(config(), context(tmp_path))["model"] == str(folder)
    assert RL().artefacts(config(), context(tmp_path, cpu=False))["model"] == str(tmp_path / "model")


def test_override_values_are_quoted_for_hydra():
    assert render_override("a", "x/y-1.parquet") == "a=x/y-1.parquet"
    assert render_override("a", "a b=c,d'e") == "a='a b=c,d\\'e'"
    assert render_override("a", "null") == "a='null'"
    assert render_override("a", "12") == "a='12'"
    assert render_override("a", [1, None, True, "x y"]) == "a=[1,null,true,'x y']"
    assert flatten_keys({"a": {"+b": {"c": 1}}, "d": {}}) == {"+a.b.c": 1, "d": {}}


@pytest.mark.parametrize(
    "value",
    [r"re:.*\.layers\.\d+", "it's", r"a\'b", "end\\", "end\\\\", r"\\", "'", '"', "{a: 'b'}", "ü\\n", "${x}", "a\nb"],
)
def test_hydra_reads_back_what_was_written(value: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for nested in (value, [value, "x"], {"k": value}):
        override = OverridesParser.create().parse_override(render_override("a", nested))
        assert override.value() == nested


def test_rays_session_folder_goes_after_a_run_with_us_and_stays_after_another(tmp_path):
    ray = tmp_path / "ray"
    ray.mkdir()
    argv = [sys.executable, "-m", "mindgpt_plugins.verl_ext.verify", str(tmp_path), str(ray)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1 and "without our trainer" in done.stderr and ray.is_dir()
    (tmp_path / "loaded.json").write_text("{}")
    assert subprocess.run(argv).returncode == 0 and not ray.exists()
