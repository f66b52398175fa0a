"""``interpolate``: θ0 + a·(θ1 − θ0) between two models (2109.01903), or along LoRA adapters of one base.

Arithmetic is float32, the result has θ1's element types, and a = 0 and a = 1 give back the two ends exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.stages.interpolate.adapter import Adapter, combine_adapters
from mindgpt_plugins.stages.interpolate.checkpoint import (
    FLOATS,
    Checkpoint,
    MergeError,
    TensorEntry,
    copy_model_extras,
    refuse_bad_numbers,
    slice_elements,
    write_shards,
)

if TYPE_CHECKING:
    from torch import Tensor


def interpolate_checkpoints(start: Path, end: Path, alpha: float, folder: Path) -> None:
    """Write the model at ``alpha`` between ``start`` and ``end`` into ``folder``, with everything it needs to load.

    ``end`` may be a LoRA adapter trained on ``start``, or both may be adapters of one base: then ``folder`` is the
    merged model and ``adapter`` beside it the same point as an adapter (one adapter scaled, two concatenated).
    A killed run goes on after the last complete shard.

    Args:
        start: θ0's folder.
        end: θ1's folder.
        alpha: in [0, 1].
        folder: of the result.

    Raises:
        MergeError: the models differ in architecture, tokenizer or tensors; the message names the first differences.
    """
    if not 0 <= alpha <= 1:
        raise MergeError(f"alpha {alpha} lies outside [0, 1]: that would extrapolate")
    if Adapter.at(end):
        _along_adapters(start, Adapter(end), alpha, folder)
    elif Adapter.at(start):
        raise MergeError(f"{start} is an adapter and {end} a whole model; merge the adapter first")
    else:
        _between_models(Checkpoint(start), Checkpoint(end), alpha, folder)


def _between_models(start: Checkpoint, end: Checkpoint, alpha: float, folder: Path) -> None:
    import torch

    _same_kind(start, end)
    names = _common(start, end)

    def parts(name: str) -> Iterator[Tensor]:
        a, b = start.tensor(name).reshape(-1), end.tensor(name).reshape(-1)
        if end.entries[name].dtype not in FLOATS:
            if not torch.equal(a, b):
                raise MergeError(
                    f"{name} is {end.entries[name].dtype}, which cannot be interpolated, and differs between "
                    f"{start.folder} and {end.folder}; save both in float32 or bfloat16"
                )
            yield b
            return
        refuse_bad_numbers(a, name, start.folder)
        refuse_bad_numbers(b, name, end.folder)
        for piece in slice_elements(b.numel()):
            # torch.lerp works from the nearer end, so that both ends come out exactly.
            yield torch.lerp(a[piece].float(), b[piece].float(), alpha).to(b.dtype)

    copy_model_extras(end.folder, folder)
    write_shards(folder, {name: end.files[name] for name in names}, end.entries, parts)


def _along_adapters(start: Path, end: Adapter, alpha: float, folder: Path) -> None:
    if Adapter.at(start):
        first = Adapter(start)
        base = Checkpoint(_base_of(first))
        terms = [(first, 1 - alpha), (end, alpha)]
    else:
        base = Checkpoint(start)
        named = Path(str(end.config.get("base_model_name_or_path")))
        if named.is_dir() and named.resolve() != start.resolve():
            raise MergeError(f"{end.folder} was trained on {named}, not on {start}; give that as `start`")
        terms = [(end, alpha)]
    for adapter, _ in terms:
        for target in adapter.targets:
            _fits(adapter, target, base)
    combine_adapters(terms, folder.parent / "adapter")

    def parts(name: str) -> Iterator[Tensor]:
        weight = base.tensor(name)
        refuse_bad_numbers(weight, name, base.folder)
        deltas = [c * adapter.delta(name) for adapter, c in terms if name in adapter.targets]
        for delta, adapter in zip(deltas, (a for a, _ in terms if name in a.targets), strict=True):
            refuse_bad_numbers(delta, name, adapter.folder)
        yield (weight.float() + sum(deltas)).to(weight.dtype) if deltas else weight

    copy_model_extras(base.folder, folder)
    write_shards(folder, base.files, base.entries, parts)


def _fits(adapter: Adapter, target: str, base: Checkpoint) -> None:
    entry = base.entries.get(target)
    if entry is None:
        raise MergeError(f"{adapter.folder} changes {target}, which {base.folder} does not have; it is another base's")
    stem = adapter.targets[target]
    shape: tuple[int, ...] = (
        adapter.entries[f"{stem}.lora_B.weight"].shape[0],
        adapter.entries[f"{stem}.lora_A.weight"].shape[1],
    )
    if adapter.config.get("fan_in_fan_out"):
        shape = shape[::-1]
    if shape != entry.shape:
        raise MergeError(f"{adapter.folder} changes {target} as {shape}, but it is {entry.shape} in {base.folder}")
    if entry.dtype not in FLOATS:
        raise MergeError(f"{target} is {entry.dtype} in {base.folder}; a quantised base cannot take a difference")


def _base_of(adapter: Adapter) -> Path:
    base = Path(str(adapter.config.get("base_model_name_or_path")))
    return base if base.is_dir() else resolve_model_snapshot(str(base))


def resolve_model_snapshot(reference: str) -> Path:
    """A model folder, or the local snapshot of a hub id (downloaded unless HF_HUB_OFFLINE is set)."""
    if Path(reference).is_dir():
        return Path(reference)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(reference))


def _same_kind(start: Checkpoint, end: Checkpoint) -> None:
    kinds = [(c.config.get("model_type"), tuple(c.config.get("architectures") or ())) for c in (start, end)]
    if kinds[0] != kinds[1]:
        raise MergeError(f"{start.folder} is {kinds[0]}, {end.folder} is {kinds[1]}; only equal models can be combined")
    for checkpoint in (start, end):
        if checkpoint.config.get("quantization_config"):
            raise MergeError(f"{checkpoint.folder} is quantised; interpolate the unquantised models")
    first, second = (_vocabulary(c.folder) for c in (start, end))
    if first is not None and second is not None and first != second:
        raise MergeError(
            f"{start.folder} and {end.folder} have different tokenizers; their rows of the embedding mean other tokens"
        )


def _vocabulary(folder: Path) -> Any:
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    loaded = read_json(path)
    return loaded.get("model", {}).get("vocab"), sorted((t["content"], t["id"]) for t in loaded.get("added_tokens", []))


def _common(start: Checkpoint, end: Checkpoint) -> list[str]:
    """Names to write. An output head that one side stores and the other ties away is left out; else they must agree."""
    import torch

    names = {checkpoint.folder: dict(checkpoint.entries) for checkpoint in (start, end)}
    for one, other in ((start, end), (end, start)):
        tied = one.tied_head()
        if tied is not None and tied[0] not in other.entries:
            if not torch.equal(one.tensor(tied[0]), one.tensor(tied[1])):
                raise MergeError(
                    f"{one.folder}: the configuration ties {tied[0]} to {tied[1]}, but they differ; "
                    "set tie_word_embeddings to false there"
                )
            del names[one.folder][tied[0]]
    a, b = names[start.folder], names[end.folder]
    problems = [f"{name} is only in {start.folder}" for name in a if name not in b]
    problems += [f"{name} is only in {end.folder}" for name in b if name not in a]
    problems += [
        f"{name} is {_shown(a[name])} in {start.folder} and {_shown(b[name])} in {end.folder}"
        for name in b
        if name in a and (a[name].shape != b[name].shape or (a[name].dtype in FLOATS) != (b[name].dtype in FLOATS))
    ]
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise MergeError("the models do not have the same tensors: " + "; ".join(problems[:5]) + more)
    return list(b)


def _shown(entry: TensorEntry) -> str:
    return f"{entry.dtype}{list(entry.shape)}"
