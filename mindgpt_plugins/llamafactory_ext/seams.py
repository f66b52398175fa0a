"""Every name of LLaMA-Factory (and of transformers behind it) that we touch, and the guard on each.

A seam is checked in the installed source without importing it: it exists, is the right kind of thing and still takes
the parameters we rely on. Any mismatch stops a run at start with the versions found and supported.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

SUPPORTED = ("0.9.5",)
"""LLaMA-Factory releases that the contract tests have run against."""


class SeamError(RuntimeError):
    """The installed LLaMA-Factory is not one we can work with."""


@dataclass(frozen=True)
class Seam:
    """A host name, what it must be, and the parameters it takes (of a class: ``__init__``'s, or dataclass fields)."""

    module: str
    name: str
    kind: Literal["class", "function", "variable"]
    parameters: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class SeamStatus:
    """Whether a seam is as we need it; ``detail`` says what is wrong, or where it was found."""

    seam: Seam
    ok: bool
    detail: str


_RUN = ("model_args", "data_args", "training_args", "finetuning_args", "callbacks")
_PROCESSOR = ("data_args", "stage", "template", "tokenizer", "processor", "do_generate")
SEAMS = (
    Seam("llamafactory.train.tuner", "run_exp", "function", ("args", "callbacks"), "starts training"),
    Seam("llamafactory.train.tuner", "run_sft", "function", (*_RUN, "generating_args"), "gives us the arguments"),
    Seam("llamafactory.train.tuner", "run_dpo", "function", _RUN, "gives us the arguments"),
    Seam("llamafactory.extras.misc", "get_device_count", "function", (), "decides whether to start ranks"),
    Seam(
        "llamafactory.data.loader",
        "get_dataset_list",
        "function",
        ("dataset_names", "dataset_dir"),
        "names of datasets",
    ),
    Seam(
        "llamafactory.data.converter",
        "get_dataset_converter",
        "function",
        ("name", "dataset_attr", "data_args"),
        "carries uid, source and difficulty past the format conversion",
    ),
    Seam(
        "llamafactory.data.loader", "_get_dataset_processor", "function", _PROCESSOR, "carries them past tokenisation"
    ),
    Seam(
        "llamafactory.train.sft.workflow",
        "CustomSeq2SeqTrainer",
        "class",
        ("finetuning_args", "processor", "ref_model"),
        "SFT trainer: curriculum, loss, logs",
    ),
    Seam(
        "llamafactory.train.dpo.trainer",
        "CustomDPOTrainer",
        "class",
        ("model", "ref_model", "finetuning_args", "processor"),
        "DPO trainer: curriculum, logs",
    ),
    Seam(
        "llamafactory.train.dpo.trainer",
        "CustomDPOTrainer.get_batch_loss_metrics",
        "function",
        ("model", "batch", "train_eval"),
        "takes our columns out of the batch",
    ),
    Seam(
        "llamafactory.train.dpo.trainer",
        "CustomDPOTrainer.concatenated_forward",
        "function",
        ("model", "batch", "is_ref_model"),
        "log-probabilities without logits",
    ),
    Seam(
        "llamafactory.train.trainer_utils",
        "create_ref_model",
        "function",
        ("model_args", "finetuning_args"),
        "reference of the KL anchor",
    ),
    Seam(
        "llamafactory.data.mm_plugin",
        "MMPluginMixin._preprocess_image",
        "function",
        ("image", "image_max_pixels", "image_min_pixels"),
        "pictures upright and on white",
    ),
    Seam("llamafactory.data.template", "TEMPLATES", "variable", (), "the check of a chat template"),
    Seam("llamafactory.data.template", "Template", "class", ("mm_plugin", "default_system"), "template: own"),
    Seam(
        "llamafactory.data.template",
        "Template.encode_multiturn",
        "function",
        ("tokenizer", "messages", "system", "tools", "discarding_history_cot"),
        "template: own",
    ),
    Seam(
        "llamafactory.data.template",
        "Template.encode_oneturn",
        "function",
        ("tokenizer", "messages", "system", "tools"),
        "template: own",
    ),
    Seam("llamafactory.data.mm_plugin", "BasePlugin", "class", (), "pictures of template: own"),
    Seam(
        "llamafactory.data.mm_plugin",
        "BasePlugin.process_messages",
        "function",
        ("messages", "images", "videos", "audios", "processor"),
        "pictures of template: own",
    ),
    Seam(
        "llamafactory.data.mm_plugin",
        "BasePlugin.process_token_ids",
        "function",
        ("input_ids", "labels", "images", "videos", "audios", "tokenizer", "processor"),
        "pictures of template: own",
    ),
    Seam(
        "llamafactory.data.mm_plugin",
        "BasePlugin.get_mm_inputs",
        "function",
        ("images", "videos", "audios", "imglens", "batch_ids", "processor"),
        "pictures of template: own",
    ),
    Seam("llamafactory.train.tuner", "export_model", "function", ("args",), "merging an adapter under template: own"),
    Seam("llamafactory.hparams.parser", "_TRAIN_ARGS", "variable", (), "the keys that `llamafactory:` may set"),
    Seam("llamafactory.hparams.parser", "get_train_args", "function", ("args",), "the values that they may have"),
    Seam(
        "llamafactory.data.template",
        "get_template_and_fix_tokenizer",
        "function",
        ("tokenizer", "data_args"),
        "the check of a chat template",
    ),
    Seam(
        "llamafactory.hparams",
        "DataArguments",
        "class",
        ("template", "media_dir", "default_system", "enable_thinking"),
        "the check of a chat template",
    ),
    Seam("transformers.trainer", "Trainer._get_train_sampler", "function", ("train_dataset",), "curriculum"),
    Seam(
        "transformers.trainer",
        "Trainer.get_batch_samples",
        "function",
        ("epoch_iterator", "num_batches", "device"),
        "target tokens of a whole optimizer step",
    ),
    Seam(
        "transformers.trainer",
        "Trainer.compute_loss",
        "function",
        ("model", "inputs", "return_outputs", "num_items_in_batch"),
        "loss",
    ),
    Seam("transformers.trainer", "Trainer.log", "function", ("logs", "start_time"), "per-source logs"),
    Seam("transformers.trainer", "Trainer._save_checkpoint", "function", ("model", "trial"), "sampler state"),
    Seam(
        "transformers.trainer_callback",
        "TrainerCallback.on_evaluate",
        "function",
        ("args", "state", "control"),
        "development sets steer a mixture",
    ),
    Seam("accelerate.utils", "gather_object", "function", ("object",), "every rank hears of the same losses"),
    Seam("transformers.trainer", "Trainer._run_epoch", "function", ("epoch",), "no step past the last one on resume"),
)


def find_llamafactory_version() -> str | None:
    """Installed LLaMA-Factory version, or ``None``."""
    try:
        return importlib.metadata.version("llamafactory")
    except importlib.metadata.PackageNotFoundError:
        return None


def inspect_seams() -> list[SeamStatus]:
    """Check every seam against the installed source; imports neither host (under a second)."""
    return [_status(seam) for seam in SEAMS]


def require_seams() -> None:
    """Stop unless the installed LLaMA-Factory is supported and every seam is as we need it.

    Raises:
        SeamError: with the version found, those supported and each seam that differs.
    """
    version = find_llamafactory_version()
    supported = ", ".join(SUPPORTED)
    if version is None:
        raise SeamError("LLaMA-Factory is not installed; install it with `pip install 'mindgpt-plugins[sft]'`")
    if version not in SUPPORTED:
        raise SeamError(
            f"LLaMA-Factory {version} is not supported (supported: {supported}); "
            f"pip install llamafactory=={SUPPORTED[-1]}"
        )
    broken = [f"{s.seam.module}.{s.seam.name}: {s.detail}" for s in inspect_seams() if not s.ok]
    if broken:
        raise SeamError(
            f"LLaMA-Factory {version} (supported: {supported}) differs from what we rely on: {'; '.join(broken)}"
        )


@contextlib.contextmanager
def rebind_functions(changes: Mapping[tuple[str, str], Callable[[Any], Any]]) -> Iterator[None]:
    """Replace ``module.name`` or ``module.Class.name`` by ``make(original)`` for each entry while the context lasts.

    Raises:
        SeamError: another package has already replaced the name, so that it is not the host's any more.
    """
    originals: list[tuple[Any, str, Any]] = []
    try:
        for (module_name, name), make in changes.items():
            *classes, last = name.split(".")
            module = functools.reduce(getattr, classes, importlib.import_module(module_name))
            original = getattr(module, last)
            owner = getattr(original, "__module__", "")
            if owner.split(".")[0] != module_name.split(".")[0]:
                raise SeamError(
                    f"{module_name}.{name} has already been replaced by {owner}; only one of the two can act"
                )
            originals.append((module, last, original))
            setattr(module, last, make(original))
        yield
    finally:
        for module, name, original in reversed(originals):
            setattr(module, name, original)


def _status(seam: Seam) -> SeamStatus:
    node = _find(seam.module, seam.name)
    if node is None:
        return SeamStatus(seam, False, "does not exist")
    kinds = {ast.ClassDef: "class", ast.Assign: "variable", ast.AnnAssign: "variable"}
    kind = kinds.get(type(node), "function")
    if kind != seam.kind:
        return SeamStatus(seam, False, f"is a {kind}, not a {seam.kind}")
    have = _parameters(node)
    if have is None:
        return SeamStatus(seam, False, "has no __init__ of its own")
    missing = [p for p in seam.parameters if p not in have]
    if missing:
        return SeamStatus(seam, False, f"no longer takes {', '.join(missing)}")
    return SeamStatus(seam, True, f"line {node.lineno}")


def _parameters(node: ast.stmt) -> set[str] | None:
    """What a function or a class takes; nothing for a variable, ``None`` for a class that leaves it to its base."""
    if isinstance(node, ast.ClassDef):
        if any("dataclass" in ast.dump(decorator) for decorator in node.decorator_list):
            return {m.target.id for m in node.body if isinstance(m, ast.AnnAssign) and isinstance(m.target, ast.Name)}
        init = _member(node, "__init__")
        return None if init is None else _parameters(init)
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return set()
    arguments = node.args
    return {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _bound(node: ast.stmt) -> set[str]:
    """Names that an assignment binds."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _find(module: str, name: str) -> ast.stmt | None:
    """The definition that ``module.name`` (or ``module.Class.method``) is bound to, imports followed."""
    path = _path(module)
    if path is None:
        return None
    head, _, rest = name.partition(".")
    for node in _statements(_tree(path).body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == head:
            return _member(node, rest) if rest and isinstance(node, ast.ClassDef) else node
        if head in _bound(node):
            return node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == head:
                    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
                    for _ in range(node.level - 1):
                        package = package.rpartition(".")[0]
                    source = ".".join(filter(None, [package if node.level else "", node.module]))
                    return _find(source, ".".join(filter(None, [alias.name, rest])))
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under ``if`` and ``try`` included (TYPE_CHECKING blocks are not bindings)."""
    for node in body:
        yield node
        if isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test)):
            yield from _statements([*node.body, *node.orelse])


def _member(node: ast.ClassDef, name: str) -> ast.stmt | None:
    return next(
        (m for m in node.body if isinstance(m, (ast.FunctionDef, ast.AsyncFunctionDef)) and m.name == name), None
    )


def _path(module: str) -> Path | None:
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top)  # a top-level package is located without being imported
    if spec is None or not spec.submodule_search_locations:
        return None
    base = Path(next(iter(spec.submodule_search_locations)), *parts)
    for path in (base.with_suffix(".py") if parts else base / "__init__.py", base / "__init__.py"):
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=32)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
