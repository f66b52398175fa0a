"""The launcher behind ``mindgpt llamafactory train`` and ``python -m mindgpt_plugins.llamafactory_ext``.

Differs from ``llamafactory-cli train`` in one thing: ranks re-execute this module, so that our plugins are there too
(the host's own launcher would start its own file). Environment variables mean what they mean to the host.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mindgpt_patches import PatchRefused, catalog

from mindgpt_plugins.core import device, guard
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.registry import PluginError, RegistryError
from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.families import Thinking
from mindgpt_plugins.guards.divergence import TrainingDiverged
from mindgpt_plugins.llamafactory_ext import checkpoints, seams
from mindgpt_plugins.llamafactory_ext.columns import DataError
from mindgpt_plugins.llamafactory_ext.settings import (
    LlamaFactorySettingsError,
    Section,
    check_host_arguments,
    parse_section,
)

_FAULTS = (
    LlamaFactorySettingsError,
    DataError,
    CurriculumError,
    RegistryError,
    PluginError,
    PatchRefused,
    TrainingDiverged,
    seams.SeamError,
)
_TORCHRUN = "MINDGPT_TORCHRUN"


def main(argv: list[str]) -> None:
    """Run ``train x.yaml [key=value …]``; what has neither a ``mindgpt:`` section nor ``template: auto`` is stock."""
    if len(argv) < 2 or argv[0] not in ("train", "export") or not argv[1].endswith((".yaml", ".yml", ".json")):
        _stock(argv)
    try:
        if argv[0] == "export":
            return _export(argv)
        host = read_host_arguments(Path(argv[1]), argv[2:])
        if "mindgpt" not in host:
            _stock(argv)
        section = parse_section(host.pop("mindgpt"))
        check_host_arguments(section, host, os.environ)
        seams.require_seams()
        if "LOCAL_RANK" not in os.environ and _wants_ranks():
            _start_ranks(argv, host)
        run_training(section, host)
    except _FAULTS as error:
        print(f"mindgpt: error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from error


def read_host_arguments(path: Path, overrides: list[str]) -> dict[str, Any]:
    """The user's YAML or JSON with ``key=value`` overrides, as the host reads it.

    Raises:
        SettingsError: the file does not exist or is not a mapping.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from mindgpt_plugins.core.yaml_limits import read_yaml_mapping

    try:
        loaded = OmegaConf.create(read_json(path)) if path.suffix == ".json" else read_yaml_mapping(path)
        if not isinstance(loaded, DictConfig):
            raise LlamaFactorySettingsError(f"{path}: must be a mapping of keys to values")
        merged = OmegaConf.to_container(OmegaConf.merge(loaded, OmegaConf.from_cli(overrides)))
    except (OSError, YAMLError, ValueError, OmegaConfBaseException) as error:
        raise LlamaFactorySettingsError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    return {str(key): value for key, value in merged.items()}  # type: ignore[union-attr]


def run_training(section: Section, host: dict[str, Any]) -> None:
    """Train in this process with the seams rebound."""
    _die_with_parent()
    host |= dict(one.split("=", 1) for one in _name_template(host))
    output_dir = host.get("output_dir")
    if output_dir and not host.get("overwrite_output_dir") and not isinstance(host.get("resume_from_checkpoint"), str):
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        for line in checkpoints.remove_half_checkpoints(Path(output_dir), ranks):
            print(f"mindgpt: warning: {line}", flush=True)
        if mismatch := checkpoints.find_shard_mismatch(Path(output_dir), ranks):
            raise LlamaFactorySettingsError(mismatch)
    if os.environ.get("RANK", "0") == "0":
        print(f"mindgpt: {section.model_dump_json(exclude_defaults=True)}", flush=True)
    from mindgpt_plugins.llamafactory_ext.guest import TrainingRun
    from mindgpt_plugins.llamafactory_ext.install import make_rebindings
    from mindgpt_plugins.llamafactory_ext.template_choice import OWN

    _let_cpu_ranks_resume()
    accelerator = not host.get("use_cpu") and device.resolve_device("auto") != "cpu"
    wanted = catalog.resolve_modes(section.patches, host.get("stage", "sft"))
    run = TrainingRun(section, patches=catalog.apply(wanted, accelerator=accelerator))
    # transformers' default logs a NaN as the mean of the losses before it (0.0 in the first line), and waits for the
    # device after every micro-batch to know.
    host = {**host, "logging_nan_inf_filter": False}
    with seams.rebind_functions(make_rebindings(run)):
        from llamafactory.train.tuner import run_exp

        if host.get("template") == OWN:
            from mindgpt_plugins.llamafactory_ext.own_template import register_own_template

            register_own_template(_find_thinking(host))

        run_exp(args=host)


def _name_template(host: Mapping[str, Any]) -> list[str]:
    """``template=NAME`` where the host's arguments say ``auto``, which only we understand.

    Raises:
        LlamaFactorySettingsError: the model has no chat template.
    """
    from mindgpt_plugins.llamafactory_ext.template_choice import AUTO

    if host.get("template") != AUTO:
        return []
    from mindgpt_plugins.llamafactory_ext.template_check import resolve_template
    from mindgpt_plugins.llamafactory_ext.template_sides import TemplateError

    try:
        name = resolve_template(str(host.get("model_name_or_path")), host.get("default_system"), _find_thinking(host))
    except TemplateError as error:
        raise LlamaFactorySettingsError(f"template: auto: {error}") from None
    if os.environ.get("RANK", "0") == "0":
        print(f"mindgpt: template: auto is {name!r}", flush=True)
    return [f"template={name}"]


def _find_thinking(host: Mapping[str, Any]) -> Thinking:
    switch = host.get("enable_thinking")
    return "model" if switch is None else "on" if switch else "off"


def _export(argv: list[str]) -> None:
    """Merge and save a model; in this process where the template is one that the host does not know."""
    from mindgpt_plugins.llamafactory_ext.template_choice import OWN

    host = read_host_arguments(Path(argv[1]), argv[2:])
    named = _name_template(host)
    host |= dict(one.split("=", 1) for one in named)
    if host.get("template") != OWN:
        _stock([*argv, *named])
    from llamafactory.train.tuner import export_model

    from mindgpt_plugins.llamafactory_ext.own_template import register_own_template

    register_own_template(_find_thinking(host))
    export_model(host)


def _stock(argv: list[str]) -> NoReturn:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "llamafactory.cli", *argv])


def _enabled(name: str, default: str = "0") -> bool:
    return os.environ.get(name, default).lower() in ("true", "y", "1")


def _wants_ranks() -> bool:
    if _enabled("FORCE_TORCHRUN"):
        return True
    from llamafactory.extras.misc import get_device_count

    return int(get_device_count()) > 1


def _start_ranks(argv: list[str], host: dict[str, Any]) -> NoReturn:
    """Become torchrun, with the host's environment variables."""
    get = os.environ.get
    if "NPROC_PER_NODE" in os.environ:
        per_node = os.environ["NPROC_PER_NODE"]
    else:
        from llamafactory.extras.misc import get_device_count

        per_node = str(max(1, get_device_count()))
    port = get("MASTER_PORT") or str(_free_port())
    address = get("MASTER_ADDR", "127.0.0.1")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", per_node]
    if "RDZV_ID" in os.environ:
        nodes = get("NNODES", "1")
        if "MIN_NNODES" in os.environ and "MAX_NNODES" in os.environ:
            nodes = f"{os.environ['MIN_NNODES']}:{os.environ['MAX_NNODES']}"
        command += ["--nnodes", nodes, "--rdzv-id", os.environ["RDZV_ID"], "--rdzv-backend", "c10d"]
        command += ["--rdzv-endpoint", f"{address}:{port}", "--max-restarts", get("MAX_RESTARTS", "0")]
    else:
        command += ["--nnodes", get("NNODES", "1"), "--node-rank", get("NODE_RANK", "0")]
        command += ["--master-addr", address, "--master-port", port]
    if _enabled("OPTIM_TORCH", "1"):  # as the host does
        os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
        os.environ["TORCH_NCCL_AVOID_RECORD_STREAMS"] = "1"
    os.environ[_TORCHRUN] = str(os.getpid())  # torchrun's: it takes over this process
    sys.stdout.flush()
    os.execv(sys.executable, [*command, "-m", "mindgpt_plugins.llamafactory_ext", *argv])


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """A rank must not outlive a torchrun that was killed: it would go on writing into the resumed run's folder."""
    if _TORCHRUN in os.environ and sys.platform == "linux":
        guard.die_with_parent(int(os.environ[_TORCHRUN]))


def _let_cpu_ranks_resume() -> None:
    """Teach torch.load ``cpu:0``: transformers maps the optimizer there when CPU ranks resume."""
    import torch

    if torch.cuda.is_available() or os.environ.get("WORLD_SIZE", "1") == "1":
        return
    torch.serialization.register_package(
        5, lambda storage: None, lambda storage, location: storage if location.startswith("cpu") else None
    )
