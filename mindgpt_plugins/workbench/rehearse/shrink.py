"""A shrunken copy of a model: its architecture, tokenizer and processor, a few thin layers, fresh weights.

What a trainer checks and what a processor makes of an image stay as in the real model; one forward pass takes
milliseconds. The original's weights are neither needed nor read.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json, replace_folder, write_json
from mindgpt_plugins.workbench.rehearse import shrink_sizes

SUPPORTED = (
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM",
)
COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "chat_template.jinja",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
)
"""Copied byte for byte where they exist; ``additional_chat_templates/`` too."""
IMAGES = ("preprocessor_config.json", "processor_config.json")
RECORD = "shrink.json"
FORMAT = 1
"""Raised when the same source would give another copy."""


class ShrinkError(ValueError):
    """No copy can be made of this folder; says which file and what to do."""


class UnsupportedArchitecture(ShrinkError):
    """The model is of an architecture that cannot be shrunk; names it and the supported ones."""


@dataclass(frozen=True)
class Shrunk:
    """What was made.

    Attributes:
        architecture: the class, of the original and of the copy.
        parameters: of the copy, a tied head once.
        original_parameters: of the original.
        cut: dotted key of the configuration → value before, value after.
    """

    architecture: str
    parameters: int
    original_parameters: int
    cut: dict[str, tuple[int, int]]


def shrink_model(source: Path, target: Path, *, seed: int = 0) -> Shrunk:
    """Make a shrunken copy of a model, or find the one that is there.

    Args:
        source: local Hugging Face folder with config.json, tokenizer and processor; weights are not read.
        target: folder to write, replaced unless it was made from the same files, seed and sizes; weights in float32.
        seed: of the fresh weights.

    Raises:
        UnsupportedArchitecture: see :data:`SUPPORTED`.
        ShrinkError: no config.json or tokenizer there, quantised weights, or code of its own (``auto_map``).
    """
    raw = _checked(source)
    identity = _identity(source, seed)
    record = target / RECORD
    if record.is_file():
        known = read_json(record)
        if known.pop("identity") == identity:
            return Shrunk(**{**known, "cut": {key: (a, b) for key, (a, b) in known["cut"].items()}})
    with replace_folder(target) as aside:
        made = _write(source, raw["architectures"][0], aside, seed)
        _copy(source, aside)
        write_json(aside / RECORD, {"identity": identity, **asdict(made)})
    return made


def _checked(source: Path) -> dict[str, Any]:
    """The configuration of a folder that can be shrunk."""
    path = source / "config.json"
    if not path.is_file():
        raise ShrinkError(
            f"{source}: no config.json there. A local folder with the model's small files is needed, no weights: "
            "hf download ORG/MODEL --exclude '*.safetensors' --local-dir FOLDER"
        )
    try:
        raw: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise ShrinkError(f"{path}: not JSON ({error})") from None
    name = (raw.get("architectures") or [raw.get("model_type")])[0]
    if name not in SUPPORTED:
        raise UnsupportedArchitecture(
            f"{path}: no shrunken copy of {name!r} can be made. Supported: {', '.join(SUPPORTED)}."
        )
    for file in ("config.json", "tokenizer_config.json", *IMAGES):
        if (source / file).is_file() and "auto_map" in read_json(source / file):
            raise ShrinkError(f"{source / file}: auto_map names code of the model's own, which is not run here")
    if raw.get("quantization_config"):
        raise ShrinkError(
            f"{path}: quantization_config: fresh weights have no quantised form; name the unquantised model's folder"
        )
    if not any((source / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ShrinkError(f"{source}: no tokenizer there (tokenizer.json, or vocab.json and merges.txt)")
    if raw.get("vision_config") and not any((source / file).is_file() for file in IMAGES):
        raise ShrinkError(f"{source}: no image processor there (preprocessor_config.json or processor_config.json)")
    return raw


def _identity(source: Path, seed: int) -> str:
    """Digest of everything the copy depends on."""
    digest = hashlib.sha256(f"{FORMAT} {seed}".encode())
    for path in [source / "config.json", *_files(source)]:
        digest.update(f"\0{path.relative_to(source)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _files(source: Path) -> list[Path]:
    single = [source / name for name in COPIED]
    return [path for path in (*single, *sorted(source.glob("additional_chat_templates/*"))) if path.is_file()]


def _copy(source: Path, folder: Path) -> None:
    for path in _files(source):
        goal = folder / path.relative_to(source)
        goal.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, goal)


def _write(source: Path, architecture: str, folder: Path, seed: int) -> Shrunk:
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(source, local_files_only=True)
    before = config.to_dict()
    after = shrink_sizes.shrink_config(before)
    build = getattr(transformers, architecture)
    with torch.device("meta"):
        original = sum(weight.numel() for weight in build(config).parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(type(config).from_dict(after)).to(torch.float32)
        table = getattr(getattr(model.model, "visual", None), "pos_embed", None)
        if table is not None:
            with torch.no_grad():
                table.weight.normal_(0.0, shrink_sizes.POSITION_STD)
    shown = transformers.logging.is_progress_bar_enabled()
    transformers.logging.disable_progress_bar()  # the rehearsal has its own
    model.save_pretrained(folder)
    if shown:
        transformers.logging.enable_progress_bar()
    return Shrunk(
        architecture=architecture,
        parameters=sum(weight.numel() for weight in model.parameters()),
        original_parameters=original,
        cut=shrink_sizes.list_size_differences(before, after),
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m mindgpt_plugins.workbench.rehearse.shrink SOURCE TARGET")
    try:
        shrink_model(Path(sys.argv[1]), Path(sys.argv[2]))
    except ShrinkError as error:
        sys.exit(str(error))
