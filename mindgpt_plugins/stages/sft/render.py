"""Renders a training stage into LLaMA-Factory's own YAML and commands. No host import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from mindgpt_plugins.core.dataset_files import DatasetError, read_set_info
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import write_json, write_text
from mindgpt_plugins.core.registry import PluginError, RegistryError
from mindgpt_plugins.families import list_template_switches
from mindgpt_plugins.llamafactory_ext.settings import (
    LlamaFactorySettingsError,
    Section,
    check_host_arguments,
    check_names,
)
from mindgpt_plugins.stages.base import Command, Context
from mindgpt_plugins.stages.sft import host_check
from mindgpt_plugins.stages.sft.config import TrainingConfig
from mindgpt_plugins.stages.sft.sources import find_source_problems

OURS = ("output_dir", "mindgpt")
"""Keys that ``llamafactory:`` cannot set: artefacts and progress are looked for where we put them."""


def render_training_commands(
    config: TrainingConfig, context: Context, host: dict[str, Any], section: dict[str, Any]
) -> list[Command]:
    """Write ``train.yaml`` (and ``export.yaml`` for LoRA) into the stage's folder and return the commands.

    Args:
        config: what the kinds share.
        context: the stage's.
        host: the kind's own LLaMA-Factory keys.
        section: the kind's own part of the ``mindgpt:`` section.
    """
    folder = context.folder
    info, media = merge_dataset_info(config, context)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    write_json(folder / "data" / "dataset_info.json", info)
    train = render_host_config(config, context, host, section, media)
    environment = {"HF_DATASETS_CACHE": str(folder / "datasets_cache")}
    if context.cpu:
        environment["CUDA_VISIBLE_DEVICES"] = ""  # else the host would start a rank per GPU
    if config.workers > 1 or not context.cpu:
        environment |= {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": str(config.workers)}
    yaml_path = _write(folder / "train.yaml", train)
    steps = [Command(("-m", "mindgpt_plugins.llamafactory_ext", "train", yaml_path), environment)]
    if config.finetuning == "lora":
        export = {
            "model_name_or_path": train["model_name_or_path"],
            "adapter_name_or_path": train["output_dir"],
            "finetuning_type": "lora",
            "template": config.template,
            "image_min_pixels": context.min_pixels,
            "image_max_pixels": context.max_pixels,
            "infer_dtype": "float32" if context.cpu else "bfloat16",
            "export_device": "cpu" if context.cpu else "auto",
            "export_dir": str(folder / "model"),
        }
        path = _write(folder / "export.yaml", export)
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if context.cpu else {}
        steps.append(Command(("-m", "llamafactory.cli", "export", path), hidden))
    return steps


def render_host_config(
    config: TrainingConfig, context: Context, host: dict[str, Any], section: dict[str, Any], media: dict[str, str]
) -> dict[str, Any]:
    """The whole host config, the ``mindgpt:`` section included."""
    folder = context.folder
    micro = config.batch_size // (config.gradient_accumulation * config.workers)
    frozen = config.freeze_vision_tower
    lora = {"lora_rank": config.lora_rank, "lora_target": config.lora_target} if config.finetuning == "lora" else {}
    if (named := config.llamafactory.get("media_dir")) is not None:
        # The host would look from the stage's folder; like every path in a recipe it is relative to the recipe.
        media = dict.fromkeys(media, str((context.recipe_folder / str(named)).resolve()))
    if len(set(media.values())) == 1:
        images: dict[str, Any] = {"media_dir": next(iter(media.values()))}
        media = {}
    else:
        images = {}
    length = {"num_train_epochs": config.epochs} if config.epochs is not None else {"max_steps": config.max_steps}
    train: dict[str, Any] = {
        "model_name_or_path": context.model(config.model),
        "template": config.template,
        "image_min_pixels": context.min_pixels,
        "image_max_pixels": context.max_pixels,
        **list_template_switches(context.thinking),  # LLaMA-Factory calls it as the templates do
        "do_train": True,
        "finetuning_type": config.finetuning,
        **lora,
        "freeze_vision_tower": frozen,
        "freeze_multi_modal_projector": frozen if config.freeze_projector is None else config.freeze_projector,
        "dataset": ",".join(one.set for one in config.data),
        "dataset_dir": str(folder / "data"),
        **images,
        "cutoff_len": config.cutoff_len,
        "overwrite_cache": True,
        "dataloader_num_workers": config.dataloader_workers,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": config.gradient_accumulation,
        **length,
        "learning_rate": config.lr,
        "lr_scheduler_type": config.lr_scheduler,
        "warmup_steps": config.warmup,
        "output_dir": str(folder / ("model" if config.finetuning == "full" else "adapter")),
        "logging_steps": config.logging_steps,
        "save_steps": config.save_steps,
        "save_total_limit": config.keep_checkpoints,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": context.seed if config.seed is None else config.seed,
        **_evaluation(config),
        **({"use_cpu": True, "disable_gradient_checkpointing": True} if context.cpu else {"bf16": True}),
        **host,
        **config.llamafactory,
        **(images if named is not None else {}),
    }
    return {**train, "mindgpt": _section(config, context, section, media)}


def merge_dataset_info(config: TrainingConfig, context: Context) -> tuple[dict[str, Any], dict[str, str]]:
    """One ``dataset_info`` for sets from different folders, with absolute file names, and each set's image folder.

    Raises:
        StageError: a folder does not list its set.
    """
    info: dict[str, Any] = {}
    media: dict[str, str] = {}
    for one in config.sets():
        folder, _ = context.dataset(one)
        entry = dict(_entry(context, one))
        for key in ("file_name", "script_url"):
            if key in entry:
                entry[key] = os.path.join(folder, entry[key])
        info[one] = entry
        media[one] = str(folder)
    return info, media


def find_training_problems(
    config: TrainingConfig, context: Context, host: dict[str, Any], section: dict[str, Any]
) -> list[str]:
    """What can be seen before anything runs: divisibility, sets, names, keys that exclude each other or fight ours."""
    found = []
    ways = config.gradient_accumulation * config.workers
    if config.batch_size % ways:
        found.append(
            f"batch_size {config.batch_size} is not divisible by gradient_accumulation x workers = "
            f"{config.gradient_accumulation} x {config.workers}; e.g. {_round_up(config.batch_size, ways)} is"
        )
    for key in OURS:
        if key in config.llamafactory:
            found.append(f"llamafactory.{key}: is set by the pipeline; remove it")
    no_media = {one: "" for one in config.sets()}
    plain = render_host_config(config.model_copy(update={"llamafactory": {}}), context, host, section, no_media)
    owned = host_check.find_owned_keys(config, plain)
    found += owned.values()
    config = config.model_copy(
        update={"llamafactory": {key: value for key, value in config.llamafactory.items() if key not in owned}}
    )
    ranking = host.get("stage") == "dpo"
    for one in config.sets():
        if "," in one:
            found.append(f"data: {one!r} contains a comma, which separates datasets in LLaMA-Factory")
        folder, _ = context.dataset(one)
        if not context.made(one) or not (folder / "dataset_info.json").is_file():
            continue  # made by a stage that has not run yet, or reported with the data itself
        try:
            if bool(_entry(context, one).get("ranking")) != ranking:
                kind = "pairs of replies (ranking: true)" if ranking else "single replies, not pairs (ranking)"
                found.append(f"data: {one!r} cannot be used here; this stage trains on {kind}")
        except StageError as error:
            found.append(str(error))
    try:
        train = render_host_config(config, context, host, section, no_media)
        checked = Section.model_validate(train.pop("mindgpt"))
        check_names(checked)
        check_host_arguments(checked, train, {})
    except (RegistryError, PluginError, LlamaFactorySettingsError) as error:
        return [*found, str(error)]
    found += find_source_problems(config, context, checked)
    found += host_check.find_host_file_problems(config)
    return found + host_check.find_host_key_problems(config, train, context.python)


def _evaluation(config: TrainingConfig) -> dict[str, Any]:
    """Host keys that evaluate each set of ``eval_data`` on its own, before the first step too."""
    if not config.eval_data:
        return {}
    keys: dict[str, Any] = {
        "eval_dataset": ",".join(config.eval_data),
        "eval_on_each_dataset": True,
        "eval_strategy": "steps",
        "eval_steps": config.eval_steps,
        "eval_on_start": True,
        "per_device_eval_batch_size": max(1, config.batch_size // (config.gradient_accumulation * config.workers)),
    }
    if config.mixture is not None and config.mixture.options.get("signal") == "eval_accuracy":
        keys["compute_accuracy"] = True
    return keys


def _section(
    config: TrainingConfig, context: Context, section: dict[str, Any], media: dict[str, str]
) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    if context.plugins:
        ours["plugins"] = list(context.plugins)
    if config.curriculum is not None:
        ours["curriculum"] = config.curriculum.written()
    if config.mixture is not None:
        ours["mixture"] = config.mixture.written()
    elif config.data[0].weight is not None:
        weights = {one.set: one.weight for one in config.data}
        ours["mixture"] = {"name": "fixed", "by": "dataset", "options": {"weights": weights}}
    if media:
        ours["media_dirs"] = media
    if config.guard.model_fields_set:
        ours["guard"] = config.guard.model_dump(mode="json")
    if not config.check_template:
        ours["check_template"] = False
    if context.thinking != "model":
        ours["thinking"] = context.thinking
    if config.patches:
        ours["patches"] = config.patches
    if config.trace:
        ours["trace"] = str(context.folder / "trace")
    return {**ours, **section, "metrics_path": str(context.folder / "metrics.jsonl")}


def _entry(context: Context, reference: str) -> dict[str, Any]:
    folder, name = context.dataset(reference)
    path = folder / "dataset_info.json"
    # A dry run: the stage that makes it has not finished. Preflight refuses a folder that stays so.
    if not context.made(reference) or not path.is_file():
        return {"file_name": f"{name}.json"}
    try:
        return dict(read_set_info(folder, name).entry)
    except DatasetError as error:
        raise StageError(str(error)) from None


def _write(path: Path, content: dict[str, Any]) -> str:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_text(path, f"# Rendered by mindgpt; by hand: see command.sh.\n{text}")
    return str(path)


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
