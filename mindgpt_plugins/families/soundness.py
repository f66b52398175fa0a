"""What is wrong with a model folder, said from its JSON files and its tokenizer before anything is loaded."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.families.loading import load_processor, load_tokenizer
from mindgpt_plugins.families.settings import has_vision

_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def find_model_faults(folder: Path) -> Iterator[str]:
    """Faults for which every stage would fail, or go on with another model than was meant; one line each.

    Args:
        folder: a local model with its ``config.json``.
    """
    config = _read(folder / "config.json")
    kind = str(config.get("model_type", "?"))
    if any("AutoModel" in key for key in config.get("auto_map") or {}) and not is_in_transformers(kind):
        yield (
            f"{kind} is code of its own folder (auto_map), which no stage runs; take the checkpoint converted to "
            "transformers' classes (its name mostly ends in -hf)"
        )
        return
    made, needed = read_processor_class(folder), _list_processors().get(kind)
    token = config.get("image_token_id", config.get("image_token_index"))
    tokenizer = load_tokenizer(folder)
    if not has_vision(folder) or not isinstance(token, int) or tokenizer is None:
        return
    # Several families share a processor (Pixtral's is also a LLaVA's), and some processors add their token when they
    # are loaded: only what looks odd is loaded, which takes seconds.
    if made in (None, needed) and token < len(tokenizer):
        return
    processor = load_processor(str(folder))
    written = getattr(processor, "image_token_id", None)
    size = len(getattr(processor, "tokenizer", tokenizer))
    if token >= size:
        yield (
            f"the picture's token of {kind} is {token}, but the tokenizer has {size} tokens, so that no text can hold "
            "a picture; copy the tokenizer's files from the checkpoint the model was made of"
        )
    elif written is not None and written != token:
        yield (
            f"the folder's {made} writes token {written} for a picture, but {kind} looks for {token}; copy the "
            "processor's and tokenizer's files from the checkpoint the model was made of"
        )


def read_processor_class(folder: Path) -> str | None:
    """Class name of a folder's processor, as its files have it."""
    for name in _PROCESSOR_FILES:
        if found := _read(folder / name).get("processor_class"):
            return str(found)
    return None


def is_in_transformers(kind: str) -> bool:
    """Whether the installed transformers has a model type, so that a folder's own code is not asked for."""
    root = _find_transformers()
    return root is not None and (root / "models" / kind.replace("-", "_")).is_dir()


@lru_cache(maxsize=1)
def _list_processors() -> Mapping[str, str]:
    """Model type → processor class, read from transformers' source: the import would take seconds."""
    root = _find_transformers()
    path = root / "models" / "auto" / "processing_auto.py" if root is not None else None
    if path is None or not path.is_file():
        return {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROCESSOR_MAPPING_NAMES":
            pairs = next((one for one in ast.walk(node) if isinstance(one, ast.List)), None)
            return dict(ast.literal_eval(pairs)) if pairs is not None else {}
    return {}


def _find_transformers() -> Path | None:
    spec = importlib.util.find_spec("transformers")  # where it lies; nothing is imported
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def _read(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
