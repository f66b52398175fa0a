"""Stage ``rl``: hybrid RL with ``python -m verl.trainer.main_ppo`` and one of our trainers, ``mindgpt_<mode>``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import secrets
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from mindgpt_patches import catalog

from mindgpt_plugins.core.choice import find_choices
from mindgpt_plugins.core.files import replace_file
from mindgpt_plugins.core.registry import (
    PluginError,
    RegistryError,
    check_options,
    hint_nearest,
    list_registered_names,
    load_plugins,
)
from mindgpt_plugins.core.schedule import find_schedule_extremes
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.curriculum.feeding import orders_by_difficulty
from mindgpt_plugins.families import PixelLimits, list_template_switches
from mindgpt_plugins.rewards.sdk import RewardError
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, ReportRules, SetRead, Stage
from mindgpt_plugins.stages.rl import modes as rl_modes
from mindgpt_plugins.stages.rl import verl_keys as rl_verl
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.hydra_overrides import flatten_keys, render_override
from mindgpt_plugins.verl_ext import checkpoints
from mindgpt_plugins.verl_ext.model_support import find_rl_refusal

#: Overrides the stage itself writes; changing them would bypass our trainer or the runner's bookkeeping.
RESERVED = (
    "trainer.v1.trainer_mode",
    "trainer.v1.mindgpt_sync",
    "trainer.v1.mindgpt_colocate_async",
    "trainer.v1.mindgpt_separate_async",
    "trainer.use_v1",
    "trainer.total_training_steps",
    "trainer.default_local_dir",
    "trainer.resume_mode",
    "trainer.rollout_data_dir",
    "algorithm.adv_estimator",
    "algorithm.use_kl_in_reward",
    "reward.custom_reward_function",
    "reward.reward_manager",
    "data.train_files",
    "data.train_batch_size",
    "actor_rollout_ref.model.path",
    "actor_rollout_ref.rollout.n",
)


class RL(Stage[RLConfig]):
    """Renders verl's Hydra overrides; the finished model is a Hugging Face folder."""

    Config: ClassVar[type[StageConfig]] = RLConfig
    side: ClassVar[str] = "rl"
    hosts: ClassVar[tuple[str, ...]] = ("verl", "transferqueue", "transformers", "torch")
    uses: ClassVar[tuple[str, ...]] = ("reward", "advantage", "sampler", "mixture")
    entries: ClassVar[tuple[str, ...]] = (
        "mindgpt_plugins.verl_ext.entry",  # verl finds it by its entry point
        "mindgpt_patches.cpu.verl",
        "mindgpt_patches.cpu.vllm",
        *(f"mindgpt_patches.{name}" for name in catalog.resolve_modes({}, "rl")),
    )

    def render(self, config: RLConfig, context: Context) -> list[Command]:
        """Write ``settings.json``; return verl's command, its model merger's where needed, and our check of the run."""
        from mindgpt_plugins.verl_ext.settings import HybridSettings, VerlSettings, write_settings_file

        folder = context.folder.resolve()
        seed = context.seed if config.seed is None else config.seed
        write_settings_file(
            VerlSettings(
                **{key: getattr(config, key) for key in HybridSettings.model_fields},
                plugins=context.plugins,
                seed=seed,
                image=PixelLimits(context.min_pixels, context.max_pixels),
                metrics_path=str(folder / "metrics.jsonl"),
                loaded_path=str(folder / "loaded.json"),
            ),
            folder / "settings.json",
        )
        _token(folder / "ray_token")
        overrides = self.overrides(config, context, folder, seed)
        environment = _environment(config, context, folder)
        name = rl_verl.choose_verl_config(config, context.cpu)
        argv = ("-m", "verl.trainer.main_ppo", "--config-path", "pkg://mindgpt_plugins.verl_ext.conf", "--config-name")
        commands = [Command((*argv, name, *overrides), environment)]
        if _merged(config, context):
            target = folder / ("shards_merged" if config.lora else "model")
            merge = (
                "-m",
                "verl.model_merger",
                "merge",
                "--backend",
                "fsdp",
                "--local_dir",
                str(_actor(folder, config)),
            )
            commands.append(Command((*merge, "--target_dir", str(target)), environment))
            if config.lora:
                add = ("-m", "mindgpt_plugins.verl_ext.merge_lora", context.model(config.model))
                commands.append(Command((*add, str(target / "lora_adapter"), str(folder / "model")), environment))
        return [*commands, Command(("-m", "mindgpt_plugins.verl_ext.verify", str(folder), str(_ray_folder(folder))))]

    def overrides(self, config: RLConfig, context: Context, folder: Path, seed: int) -> list[str]:
        """All Hydra overrides, the recipe's own last."""
        sets = [context.dataset(reference) for reference in _sets(config)]
        files = [str(dataset / f"{name}.parquet") for dataset, name in sets]
        parquet = files if len(files) > 1 else files[0]
        values: dict[str, Any] = {
            "data.train_files": parquet,
            "data.val_files": parquet,  # verl wants one; it is only read when the recipe turns validation on
            "data.train_batch_size": config.prompts_per_step,
            "data.max_prompt_length": config.max_prompt_tokens,
            "data.max_response_length": config.max_response_tokens,
            "data.seed": seed,
            "actor_rollout_ref.model.path": context.model(config.model),
            "actor_rollout_ref.actor.optim.lr": config.lr,
            "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": config.micro_batch,
            "actor_rollout_ref.rollout.name": rl_verl.choose_rollout_backend(config, context.cpu),
            "actor_rollout_ref.rollout.n": config.group_size,
            "actor_rollout_ref.rollout.seed": seed,
            "actor_rollout_ref.rollout.temperature": config.temperature,
            "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu": config.micro_batch,
            "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": config.micro_batch,
            "trainer.n_gpus_per_node": config.workers,
            "trainer.total_training_steps": config.steps,
            "trainer.save_freq": config.save_every,
            "trainer.resume_mode": "auto",
            "trainer.experiment_name": context.name,
            "trainer.default_local_dir": str(folder / "checkpoints"),
            "trainer.rollout_data_dir": str(folder / "rollouts"),
            "+ray_kwargs.ray_init._temp_dir": str(_ray_folder(folder)),
            **{
                f"+data.apply_chat_template_kwargs.{key}": value
                for key, value in list_template_switches(context.thinking).items()
            },
            **rl_modes.render_mode_overrides(config, str(folder / "settings.json")),
            **rl_verl.render_preset_keys(config, context.cpu),
            **rl_verl.render_sharding_keys(config),
            **rl_verl.render_lora_keys(config, context.cpu),
            **rl_verl.render_rollout_keys(config, context.cpu),
        }
        if context.cpu:
            values["ray_kwargs.ray_init.num_gpus"] = config.workers
            values["ray_kwargs.ray_init.num_cpus"] = 10 + 3 * config.workers
        else:
            values["+ray_kwargs.ray_init.include_dashboard"] = False
        own = flatten_keys(config.verl)
        replaced = {key.lstrip("+") for key in own}
        merged = {key: value for key, value in values.items() if key.lstrip("+") not in replaced} | own
        return [render_override(key, value) for key, value in merged.items()]

    def artefacts(self, config: RLConfig, context: Context) -> dict[str, str]:
        """The Hugging Face folder of the last checkpoint, and the rollout dump."""
        if _merged(config, context):
            model = context.folder / "model"
        else:
            inner = "model/huggingface" if config.strategy == "megatron" else "huggingface"
            model = _actor(context.folder, config) / inner
        return {"model": str(model), "rollouts": str(context.folder / "rollouts")}

    def set_reads(self, config: RLConfig) -> list[SetRead]:
        """A longer prompt would stop the run in its first steps."""
        own = flatten_keys(config.verl)
        if any(key.lstrip("+").startswith("data.custom_cls.") for key in own):
            return []  # the user's own class reads the rows
        named = {"prompt": "prompt_key", "images": "image_key", "videos": "video_key", "audios": "audio_key"}
        columns = tuple((name, str(own[f"data.{key}"])) for name, key in named.items() if f"data.{key}" in own)
        limit, key = config.max_prompt_tokens, "max_prompt_tokens"
        asks = orders_by_difficulty(config.curriculum) or bool(config.group_size_by_difficulty)
        difficulty = "difficulty" if asks else None
        return [
            SetRead(name, "verl", config.model, limit, key, with_response=False, columns=columns, difficulty=difficulty)
            for name in _sets(config)
        ]

    def check(self, config: RLConfig, context: Context) -> list[str]:
        """Names, options, divisibility, verl's keys and checkpoints of other ranks; nothing heavy is imported."""
        problems = _names(config, context) + rl_verl.find_verl_problems(config, context.cpu)
        problems += rl_modes.find_mode_problems(config, context.cpu, rl_verl.count_training_ranks(config))
        low, high = find_schedule_extremes(config.advantage.lam)
        if low < 0 or high > 1:
            problems.append(f"advantage.lambda runs from {low:g} to {high:g}; it must stay in [0, 1]")
        if config.clip is not None and (not 0 < config.clip[0] < 1 or config.clip[1] <= 0):
            problems.append(f"clip {config.clip}: the lower range lies in (0, 1), the upper one is positive")
        own = []
        for key in flatten_keys(config.verl):
            plain = key.lstrip("+")
            taken = next(
                (r for r in RESERVED if plain == r or plain.startswith(r + ".") or r.startswith(plain + ".")), ""
            )
            if taken:
                problems.append(f"verl.{plain}: {taken} is set by this stage from the recipe's own keys; remove it")
            else:
                own.append(key)
        seed = context.seed if config.seed is None else config.seed
        without = self.overrides(config.model_copy(update={"verl": {}}), context, context.folder, seed)
        problems += rl_verl.find_verl_rivals(config, without)
        problems += rl_verl.find_verl_config_problems(
            config, context, self.overrides(config, context, context.folder, seed), own
        )
        try:
            catalog.resolve_modes(config.patches, "rl")
        except catalog.PatchesError as error:
            problems.append(str(error))
        ranks, key = rl_verl.count_all_ranks(config)
        mismatch = checkpoints.find_rank_mismatch(context.folder / "checkpoints", ranks, key)
        problems += [mismatch] if mismatch and config.strategy == "fsdp2" else []
        return problems + _plugin_problems(config)

    def check_model(self, config: RLConfig, context: Context, folder: Path) -> list[str]:
        """A family that verl cannot take, said in a second instead of minutes after Ray has come up."""
        refusal = find_rl_refusal(folder, registers=config.patches.get("verl_processors", "auto") != "off")
        return [f"model {config.model!r}: {refusal}"] if refusal else []

    def rehearsal_rules(self) -> RehearsalRules[RLConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.rl.rehearse import RLRehearsal

        return RLRehearsal()

    def cost_rules(self) -> CostRules[RLConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.rl.cost import RLCost

        return RLCost()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.rl.report import RLReport

        return RLReport()


def _names(config: RLConfig, context: Context) -> list[str]:
    problems = []
    try:
        load_plugins(context.plugins)
        Suite(config.rewards)
    except (RegistryError, RewardError, PluginError) as error:
        problems.append(f"rewards: {error}")
    for place, choice in find_choices(config):
        known = list_registered_names(choice.of)
        if choice.name not in known:
            problems.append(
                f"{place}.name: there is no {choice.of} {choice.name!r}{hint_nearest(choice.name, known)} "
                f"Known: {', '.join(known)}."
            )
        elif importlib.util.find_spec("torch") is not None:  # options need the function, and that needs torch
            try:
                check_options(choice.of, choice.name, choice.options)
            except (RegistryError, PluginError) as error:
                problems.append(f"{place}.options: {error}")
    return problems + _curriculum(config, context)


def _curriculum(config: RLConfig, context: Context) -> list[str]:
    """A curriculum or mixture that RL cannot feed, and weights that its prompts do not have."""
    from mindgpt_plugins.curriculum.feeding import find_rl_obstacle
    from mindgpt_plugins.curriculum.mixture_check import find_mixture_problem

    chosen = (config.curriculum, config.mixture)
    if config.curriculum is None or any(
        one is not None and one.name not in list_registered_names(one.of) for one in chosen
    ):
        return []  # verl's own order, or a name that is not there: already said
    problem = find_rl_obstacle(config.curriculum.name, config.mixture.name if config.mixture else None)
    if problem:
        return [f"curriculum: {problem}"]
    if config.mixture is None:
        return []
    faulty = find_mixture_problem(config.mixture, _count_sources(config, context))
    return [faulty] if faulty else []


def _count_sources(config: RLConfig, context: Context) -> Counter[str] | None:
    """Prompts of each source; ``None`` when some set cannot be read yet, or is none (said where rows are checked)."""
    from pyarrow import ArrowException, parquet

    counts: Counter[str] = Counter()
    for reference in _sets(config):
        folder, name = context.dataset(reference)
        if not context.made(reference):
            return None
        try:
            column = parquet.read_table(folder / f"{name}.parquet", columns=["data_source"])["data_source"]
        except (OSError, KeyError, ArrowException):
            return None
        counts.update(map(str, column.to_pylist()))
    return counts


def _plugin_problems(config: RLConfig) -> list[str]:
    """What would make verl start without us."""
    policy = os.environ.get("VERL_USE_EXTERNAL_PLUGINS", "auto").strip().lower()
    if policy != "auto" and "mindgpt" not in {name.strip() for name in policy.split(",")}:
        return [
            f"VERL_USE_EXTERNAL_PLUGINS={policy} keeps verl from loading mindgpt-plugins; unset it or add 'mindgpt'"
        ]
    if config.python is None and not any(
        entry.name == "mindgpt" for entry in importlib.metadata.entry_points(group="verl.plugins")
    ):
        return ["mindgpt-plugins' entry point 'verl.plugins' is not installed here; run `pip install -e .` again"]
    return []


def _sets(config: RLConfig) -> list[str]:
    return [config.train] if isinstance(config.train, str) else config.train


def _actor(folder: Path, config: RLConfig) -> Path:
    return folder / "checkpoints" / f"global_step_{config.steps}" / "actor"


def _merged(config: RLConfig, context: Context) -> bool:
    """Must the checkpoint be gathered into a Hugging Face folder? Otherwise verl writes one itself."""
    return config.strategy == "fsdp2" and (not context.cpu or config.lora is not None)


def _environment(config: RLConfig, context: Context, folder: Path) -> dict[str, str]:
    environment = {
        "MINDGPT_REQUIRED": "1",
        "MINDGPT_PATCHES": catalog.render_modes(catalog.resolve_modes(config.patches, "rl")),
        "MINDGPT_PATCH_RECORDS": str(folder),
        # A token of this run's own instead of one in the home folder.
        "RAY_AUTH_TOKEN_PATH": str(folder / "ray_token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "HYDRA_FULL_ERROR": "0",
        "TQ_NUM_THREADS": "1",
        "RAY_raylet_start_wait_time_s": "120",  # 30 is too short on a busy machine
    }
    if context.cpu:
        # Ray would start one idle interpreter per logical CPU, and all of them niced.
        environment |= {
            "VERL_PLATFORM": "cpu",
            # Ray holds its number of GPUs, here a logical one that counts ranks, against this variable, which is often
            # empty on a GPU machine that is to stay on the CPU. A name for each rank; no device has it.
            "CUDA_VISIBLE_DEVICES": ",".join(["-1"] * rl_verl.count_all_ranks(config)[0]),
            "RAY_prestart_worker_first_driver": "0",
            "RAY_enable_worker_prestart": "0",
            "RAY_worker_niceness": "0",
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // config.workers)),
        }
    return environment


def _ray_folder(folder: Path) -> Path:
    """Ray's sockets live here; their paths may have 107 bytes, so a stage folder is too deep."""
    import hashlib
    import tempfile

    base = tempfile.gettempdir()
    short = base if len(base) <= 24 else "/tmp"
    return Path(short) / f"mindgpt-{os.getuid()}" / hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]


def _token(path: Path) -> None:
    if not path.is_file() or not path.read_text().strip():
        with replace_file(path) as aside:
            aside.touch(mode=0o600)
            aside.write_text(secrets.token_hex(32))
