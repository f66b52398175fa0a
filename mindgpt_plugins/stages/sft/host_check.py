"""What LLaMA-Factory itself would say of a training stage's keys, before anything runs. No host import."""

from __future__ import annotations

import atexit
import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mindgpt_plugins.core import compat, device
from mindgpt_plugins.core.dataset_files import INFO, read_set_info
from mindgpt_plugins.core.files import FileError, read_json
from mindgpt_plugins.core.json_process import HelperError, JsonProcess
from mindgpt_plugins.core.names import shorten_text
from mindgpt_plugins.core.process import build_child_environment
from mindgpt_plugins.families import Thinking
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.sft.config import TrainingConfig

RECIPE_KEYS = {
    "model_name_or_path": "model",
    "template": "template",
    "enable_thinking": "thinking",
    "image_min_pixels": "image.min_pixels",
    "image_max_pixels": "image.max_pixels",
    "use_cpu": "device",
    "stage": "kind",
    "finetuning_type": "finetuning",
    "lora_rank": "lora_rank",
    "lora_target": "lora_target",
    "freeze_vision_tower": "freeze_vision_tower",
    "freeze_multi_modal_projector": "freeze_projector",
    "dataset": "data",
    "dataset_dir": "data",
    "eval_dataset": "eval_data",
    "cutoff_len": "cutoff_len",
    "dataloader_num_workers": "dataloader_workers",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "num_train_epochs": "epochs",
    "max_steps": "max_steps",
    "learning_rate": "lr",
    "lr_scheduler_type": "lr_scheduler",
    "warmup_steps": "warmup",
    "warmup_ratio": "warmup",
    "logging_steps": "logging_steps",
    "save_steps": "save_steps",
    "save_total_limit": "keep_checkpoints",
    "eval_steps": "eval_steps",
    "seed": "seed",
    "pref_loss": "pref_loss",
    "pref_beta": "pref_beta",
    "pref_bco_weight": "pref_bco_weight",
    "pref_ftx": "pref_ftx",
    "ld_alpha": "ld_alpha",
    "ref_model": "reference",
}
"""LLaMA-Factory's key → the recipe's own that decides it: the plan, the token limits and the costs read that one."""
_PASSED = {"template": "template", "lr_scheduler_type": "lr_scheduler"}
"""Host keys whose values a recipe's own keys pass on unread."""
_DECIDED = ("enable_thinking", "num_train_epochs", "max_steps", "warmup_ratio", "eval_dataset")
"""Keys that fight a recipe's own even where those render another one."""
_SWITCHES = ("USE_MCA", "USE_V1", "USE_RAY", "ALLOW_EXTRA_ARGS", "WORLD_SIZE", "RANK", "LOCAL_RANK")


def find_owned_keys(config: TrainingConfig, rendered: Mapping[str, Any]) -> dict[str, str]:
    """Keys under ``llamafactory:`` that say something else than the recipe's own keys, each with what is wrong.

    Args:
        config: the stage's.
        rendered: the host's config without the pass-through.
    """
    found = {}
    for key, value in config.llamafactory.items():
        ours = RECIPE_KEYS.get(key)
        if ours is None or (key not in rendered and key not in _DECIDED) or rendered.get(key) == value:
            continue
        now = f" ({rendered[key]!r} now)" if key in rendered and not key.startswith("dataset") else ""
        found[key] = (
            f"llamafactory.{key}: {value!r} is not what the recipe says: its own key `{ours}` decides{now}; set that "
            "one and remove this"
        )
    return found


def find_host_file_problems(config: TrainingConfig) -> list[str]:
    """Files of settings that a key names and the host would fail on when it starts to train."""
    found = []
    for key in ("deepspeed", "fsdp_config"):
        path = config.llamafactory.get(key)
        if not isinstance(path, str):
            continue
        try:
            sound = os.path.isabs(path) and os.path.isfile(path) and isinstance(read_json(Path(path)), dict)
        except (OSError, FileError):
            sound = False
        if not sound:
            found.append(
                f"llamafactory.{key}: {shorten_text(path)!r} is no JSON file of settings by its absolute path; write "
                "the settings themselves under the key"
            )
    return found


def find_host_key_problems(config: TrainingConfig, train: Mapping[str, Any], python: str) -> list[str]:
    """Unknown keys, names and values that the host would refuse or take for something else.

    Nothing is asked for a stage that leaves all of this at our defaults: importing the host takes seconds.

    Args:
        config: the stage's.
        train: the whole rendered config of the host.
        python: interpreter that has the host.
    """
    defaults = type(config).model_fields
    passed = {
        key: ours for key, ours in _PASSED.items() if key in train and getattr(config, ours) != defaults[ours].default
    }
    keys = [*passed, *config.llamafactory]
    if not keys:
        return []
    if python == sys.executable and compat.find_installed_version("llamafactory") is None:
        _say_once("llamafactory is not installed here: keys under `llamafactory:` and names of it are not checked")
        return []
    try:
        answer = _ask(python, yaml.safe_dump(dict(train), sort_keys=False, allow_unicode=True), tuple(keys))
    except HelperError as error:
        _say_once(f"LLaMA-Factory could not be asked about its keys, so they are not checked: {error}")
        return []
    places = {key: passed.get(key, f"llamafactory.{key}") for key in keys}
    return [f"{places[key] if key else 'llamafactory'}: {fault}" for key, fault in answer]


def find_template_problems(config: TrainingConfig, context: Context, folder: Path) -> list[str]:
    """Sets that are here and on which the stage's template would train another markup than the model's own.

    Args:
        config: the stage's.
        context: the stage's.
        folder: of the model, or of the one that its chain begins with.
    """
    if not (folder / "tokenizer_config.json").is_file():
        return []
    if context.python == sys.executable and compat.find_installed_version("llamafactory") is None:
        return []
    system = config.llamafactory.get("default_system")
    if config.template in ("auto", "own"):
        try:
            chosen, why = ask_template_choice(context.python, folder, system, context.thinking)
        except HelperError as error:
            _say_once(f"LLaMA-Factory could not be asked about the template, so it is not checked: {error}")
            return []
        if chosen is None:
            return [f"template: {config.template}: {why}; or name a template of LLaMA-Factory's"]
    found: list[str] = []
    for one in config.sets() if config.check_template else ():
        where, name = context.dataset(one)
        if not context.made(one) or not (where / INFO).is_file():
            continue
        files = tuple(
            (str(path), path.stat().st_mtime_ns) for path in read_set_info(where, name).files if path.exists()
        )
        try:
            answer = _ask_template(
                context.python, str(folder), config.template, str(where), name, system, context.thinking, files
            )
        except HelperError as error:
            _say_once(f"LLaMA-Factory could not be asked about the template, so it is not checked: {error}")
            return []
        if answer["unknown"]:
            _say_once(f"set {one!r}: its chat template is not checked: {answer['unknown']}")
        if answer["problem"]:
            found.append(
                f"set {one!r}: {answer['problem']}. `check_template: false` trains another markup than the model's own"
            )
    return found


@functools.cache
def ask_template_choice(
    python: str, folder: Path, default_system: str | None, thinking: Thinking
) -> tuple[str | None, str]:
    """The name that ``template: auto`` means for a model, or None and why.

    Args:
        python: interpreter that has the host.
        folder: of the model.
        default_system: LLaMA-Factory's ``default_system``.
        thinking: how chat templates are switched.

    Raises:
        HelperError: the host could not be asked.
    """
    question = {"about": "choice", "model": str(folder), "default_system": default_system, "thinking": thinking}
    answer = _host(python).ask(question)
    return answer["template"], answer["unknown"] or ""


@functools.cache
def _ask_template(
    python: str,
    model: str,
    template: str,
    folder: str,
    name: str,
    system: str | None,
    thinking: Thinking,
    files: tuple[tuple[str, int], ...],
) -> dict[str, Any]:
    return _host(python).ask(
        {
            "about": "template",
            "model": model,
            "template": template,
            "folder": folder,
            "name": name,
            "default_system": system,
            "thinking": thinking,
        }
    )


@functools.cache
def _ask(python: str, text: str, keys: tuple[str, ...]) -> list[tuple[str, str]]:
    answer = _host(python).ask({"about": "settings", "text": text, "keys": keys})
    return [(key, fault) for key, fault in answer["problems"]]


@functools.cache
def _host(python: str) -> JsonProcess:
    cpu = device.resolve_device("auto") == "cpu"
    env: dict[str, str | None] = dict.fromkeys(_SWITCHES)
    env |= build_child_environment(cpu=cpu, offline=True, extra={"CUDA_VISIBLE_DEVICES": ""})
    process = JsonProcess([python, "-m", "mindgpt_plugins.llamafactory_ext.questions"], env)
    atexit.register(process.close)
    return process


@functools.cache
def _say_once(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)
