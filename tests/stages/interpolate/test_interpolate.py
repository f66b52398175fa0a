"""Interpolation against dense arithmetic, over shards, tied heads and LoRA; what does not fit is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mindgpt_plugins.stages.interpolate.adapter import Adapter, combine_adapters
from mindgpt_plugins.stages.interpolate.checkpoint import INDEX, MergeError, read_header, slice_elements
from mindgpt_plugins.stages.interpolate.run import interpolate_checkpoints

Weights = dict[str, torch.Tensor]
HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"


def random_weights(seed: int, dtype: torch.dtype = torch.float32) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    shapes = {TABLE: (7, 4), "model.a.weight": (4, 4), "model.a.bias": (4,), "model.scale": (), HEAD: (7, 4)}
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


def save(folder: Path, weights: Weights, shards: int = 1, config: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True)
    names = list(weights)
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        files = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(names)}
        for file in set(files.values()):
            save_file({n: weights[n] for n in names if files[n] == file}, folder / file, metadata={"format": "pt"})
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": files}))
    (folder / "config.json").write_text(json.dumps({"model_type": "toy", "architectures": ["Toy"], **(config or {})}))
    (folder / "processor_config.json").write_text("{}")
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}, "added_tokens": []}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "trainer_state.json").write_text("{}")
    return folder


def load(folder: Path) -> Weights:
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


@pytest.mark.parametrize("shards", [(1, 1), (2, 3), (3, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equals_dense_arithmetic_whatever_the_shards(tmp_path: Path, shards: tuple[int, int], dtype: torch.dtype):
    a, b = random_weights(0, dtype), random_weights(1, dtype)
    start, end = save(tmp_path / "a", a, shards[0]), save(tmp_path / "b", b, shards[1])
    interpolate_checkpoints(start, end, 0.3, tmp_path / "out")
    got = load(tmp_path / "out")
    assert got.keys() == b.keys()
    for name in b:
        expected = (a[name].double() + 0.3 * (b[name].double() - a[name].double())).to(dtype)
        assert got[name].dtype == dtype and got[name].shape == b[name].shape
        close = 1e-2 if dtype == torch.bfloat16 else 1e-6
        assert torch.allclose(got[name].float(), expected.float(), rtol=close, atol=close)
    kept = {path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".safetensors"}
    assert kept - {INDEX} == {"config.json", "processor_config.json", "tokenizer.json", "chat_template.jinja"}
    if shards[1] > 1:
        index = json.loads((tmp_path / "out" / INDEX).read_text())
        assert index["weight_map"] == json.loads((end / INDEX).read_text())["weight_map"]
        assert index["metadata"]["total_size"] == sum(t.numel() * t.element_size() for t in b.values())
        for name, file in index["weight_map"].items():
            with safe_open(tmp_path / "out" / file, "pt") as opened:
                assert name in opened.keys()  # noqa: SIM118 - not a mapping
    else:
        assert not (tmp_path / "out" / INDEX).exists()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_ends_are_exact_in_the_ends_type(tmp_path: Path, alpha: float):
    start = save(tmp_path / "a", random_weights(0, torch.bfloat16))
    end = save(tmp_path / "b", random_weights(1, torch.float32))
    interpolate_checkpoints(start, end, alpha, tmp_path / "out")
    wanted = load(end if alpha else start)
    assert all(torch.equal(t, wanted[name].float()) for name, t in load(tmp_path / "out").items())


@given(count=st.integers(0, 50), size=st.integers(1, 12))
def test_pieces_cover_everything_once(count: int, size: int):
    assert [i for p in slice_elements(count, size) for i in range(count)[p]] == list(range(count))


def test_a_killed_run_goes_on_after_the_last_shard(tmp_path: Path):
    start, end = save(tmp_path / "a", random_weights(0), 2), save(tmp_path / "b", random_weights(1), 2)
    interpolate_checkpoints(start, end, 0.5, tmp_path / "whole")
    interpolate_checkpoints(start, end, 0.5, tmp_path / "cut")
    last = tmp_path / "cut" / "model-00002-of-00002.safetensors"
    last.rename(last.with_name(f".{last.name}.part"))  # half written when the kill came
    (tmp_path / "cut" / INDEX).unlink()
    interpolate_checkpoints(start, end, 0.5, tmp_path / "cut")
    files = [sorted((p.name, p.read_bytes()) for p in (tmp_path / f).iterdir()) for f in ("whole", "cut")]
    assert files[0] == files[1]


def test_a_tied_head_that_one_side_stores_is_left_out(tmp_path: Path):
    a, b = random_weights(0), random_weights(1)
    b[HEAD] = b[TABLE].clone()
    del a[HEAD]
    tied = {"tie_word_embeddings": True}
    start, end = save(tmp_path / "a", a, config=tied), save(tmp_path / "b", b, config=tied)
    interpolate_checkpoints(start, end, 0.5, tmp_path / "out")
    assert HEAD not in load(tmp_path / "out")
    b[HEAD] += 1
    broken = save(tmp_path / "c", b, config=tied)
    with pytest.raises(MergeError, match="ties lm_head.weight .* but they differ"):
        interpolate_checkpoints(start, broken, 0.5, tmp_path / "never")


def renamed(weights: Weights) -> Weights:
    return {("model.b.weight" if name == "model.a.weight" else name): t for name, t in weights.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, r"model.a.weight is only in .*a; model.b.weight is only in .*b"),
        (lambda w: {**w, "model.a.bias": torch.zeros(5)}, r"model.a.bias is F32\[4\] in .* and F32\[5\] in"),
        (lambda w: {**w, "model.a.bias": torch.zeros(4, dtype=torch.int8)}, r"model.a.bias is F32\[4\] .* I8\[4\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, change: Any, message: str):
    start, end = save(tmp_path / "a", random_weights(0)), save(tmp_path / "b", change(random_weights(1)))
    with pytest.raises(MergeError, match=message):
        interpolate_checkpoints(start, end, 0.5, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_a_model_of_nan_is_refused_on_either_side(tmp_path: Path, side: str, alpha: float):
    weights = {"a": random_weights(0), "b": random_weights(1)}
    weights[side]["model.a.bias"][2:] = float("nan")
    start, end = (save(tmp_path / name, weights[name]) for name in ("a", "b"))
    with pytest.raises(MergeError, match=rf"model\.a\.bias of .*/{side} holds inf or NaN \(2 of 4 numbers\)"):
        interpolate_checkpoints(start, end, alpha, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_integers_must_be_equal(tmp_path: Path):
    a, b = random_weights(0), random_weights(1)
    a["model.ids"] = b["model.ids"] = torch.arange(3)
    interpolate_checkpoints(save(tmp_path / "a", a), save(tmp_path / "b", b), 0.5, tmp_path / "out")
    assert torch.equal(load(tmp_path / "out")["model.ids"], torch.arange(3))
    other = save(tmp_path / "c", {**b, "model.ids": torch.zeros(3, dtype=torch.long)})
    with pytest.raises(MergeError, match=r"model.ids is I64, which cannot be interpolated"):
        interpolate_checkpoints(tmp_path / "a", other, 0.5, tmp_path / "never")


def test_other_models_and_broken_files_are_refused(tmp_path: Path):
    start = save(tmp_path / "a", random_weights(0))
    with pytest.raises(MergeError, match=r"'toy'.*'other'"):
        interpolate_checkpoints(
            start, save(tmp_path / "b", random_weights(1), config={"model_type": "other"}), 0.5, tmp_path / "o"
        )
    other = save(tmp_path / "c", random_weights(1))
    (other / "tokenizer.json").write_text('{"model": {"vocab": {"b": 0}}, "added_tokens": []}')
    with pytest.raises(MergeError, match="different tokenizers"):
        interpolate_checkpoints(start, other, 0.5, tmp_path / "o")
    with pytest.raises(MergeError, match="extrapolate"):
        interpolate_checkpoints(start, start, 1.5, tmp_path / "o")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MergeError, match="neither model.safetensors"):
        interpolate_checkpoints(start, tmp_path / "empty", 0.5, tmp_path / "o")
    whole = (start / "model.safetensors").read_bytes()
    (start / "model.safetensors").write_bytes(whole[:-3])
    with pytest.raises(MergeError, match="cut short"):
        read_header(start / "model.safetensors")


# ---- LoRA --------------------------------------------------------------------------------------------------------


def save_adapter(folder: Path, base: Path, seed: int, targets: dict[str, int], alpha: int = 6, **config: Any) -> Path:
    """``targets``: module → rank."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for target, rank in targets.items():
        out, into = load(base)[f"{target}.weight"].shape
        tensors[f"base_model.model.{target}.lora_A.weight"] = torch.randn(rank, into, generator=generator)
        tensors[f"base_model.model.{target}.lora_B.weight"] = torch.randn(out, rank, generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": str(base),
        "lora_alpha": alpha,
        "bias": "none",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **config}))
    return folder


def dense(folder: Path, alpha: float, rank: int, target: str, rslora: bool = False) -> torch.Tensor:
    weights = load_file(folder / "adapter_model.safetensors")
    a, b = (weights[f"base_model.model.{target}.lora_{k}.weight"].double() for k in "AB")
    return (alpha / (rank**0.5 if rslora else rank)) * b @ a


@pytest.mark.parametrize("rslora", [False, True])
def test_one_adapter_scales(tmp_path: Path, rslora: bool):
    base = save(tmp_path / "base", random_weights(0), 2)
    adapter = save_adapter(tmp_path / "lora", base, 1, {"model.a": 2}, use_rslora=rslora)
    interpolate_checkpoints(base, adapter, 0.25, tmp_path / "out" / "model")
    got, was = load(tmp_path / "out" / "model"), load(base)
    change = 0.25 * dense(adapter, 6, 2, "model.a", rslora)
    assert torch.allclose(got["model.a.weight"].double(), was["model.a.weight"].double() + change, atol=1e-6)
    assert all(torch.equal(got[name], was[name]) for name in was if name != "model.a.weight")
    assert torch.allclose(Adapter(tmp_path / "out" / "adapter").delta("model.a.weight").double(), change, atol=1e-6)


def test_two_adapters_concatenate_their_ranks(tmp_path: Path):
    base = save(tmp_path / "base", random_weights(0))
    one = save_adapter(tmp_path / "one", base, 1, {"model.a": 2, "lm_head": 2})
    two = save_adapter(tmp_path / "two", base, 2, {"model.a": 3}, alpha=3)
    interpolate_checkpoints(one, two, 0.4, tmp_path / "out" / "model")
    was, got = load(base), load(tmp_path / "out" / "model")
    both = 0.6 * dense(one, 6, 2, "model.a") + 0.4 * dense(two, 3, 3, "model.a")
    alone = 0.6 * dense(one, 6, 2, "lm_head")
    assert torch.allclose(got["model.a.weight"].double(), was["model.a.weight"].double() + both, atol=1e-5)
    assert torch.allclose(got[HEAD].double(), was[HEAD].double() + alone, atol=1e-5)
    adapter = Adapter(tmp_path / "out" / "adapter")
    assert adapter.config["r"] == adapter.config["lora_alpha"] == 5
    assert torch.allclose(adapter.delta("model.a.weight").double(), both, atol=1e-5)
    assert torch.allclose(adapter.delta(HEAD).double(), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias 'all'"),
        ({"peft_type": "IA3"}, "only LoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_variants_that_are_no_plain_product_are_refused(tmp_path: Path, config: dict[str, Any], message: str):
    base = save(tmp_path / "base", random_weights(0))
    adapter = save_adapter(tmp_path / "lora", base, 1, {"model.a": 2}, **config)
    with pytest.raises(MergeError, match=message):
        interpolate_checkpoints(base, adapter, 0.5, tmp_path / "out" / "model")


def test_adapters_of_another_base_are_refused(tmp_path: Path):
    base, other = save(tmp_path / "base", random_weights(0)), save(tmp_path / "other", random_weights(1))
    adapter = save_adapter(tmp_path / "lora", base, 1, {"model.a": 2})
    with pytest.raises(MergeError, match="was trained on .*base, not on .*other"):
        interpolate_checkpoints(other, adapter, 0.5, tmp_path / "out" / "model")
    with pytest.raises(MergeError, match="cannot be combined"):
        combine_adapters(
            [(Adapter(adapter), 1.0), (Adapter(save_adapter(tmp_path / "l2", other, 1, {"model.a": 2})), 1.0)],
            tmp_path / "x",
        )
    with pytest.raises(MergeError, match="merge the adapter first"):
        interpolate_checkpoints(adapter, base, 0.5, tmp_path / "out" / "model")


def test_peft_reads_what_we_write(tmp_path: Path):
    """PEFT's own merge is the reference: of the trained adapter, of the scaled one and of the concatenated one."""
    peft = pytest.importorskip("peft")

    def net() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))

    def trained(seed: int, rank: int, folder: Path, **config: Any) -> torch.nn.Module:
        model = peft.get_peft_model(net(), peft.LoraConfig(r=rank, lora_alpha=7, target_modules=["0", "2"], **config))
        torch.manual_seed(seed)
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter)
        model.save_pretrained(folder)
        merged: torch.nn.Module = model.merge_and_unload()
        return merged

    one, two = trained(1, 2, tmp_path / "one"), trained(2, 3, tmp_path / "two", use_rslora=True)
    combine_adapters([(Adapter(tmp_path / "one"), 0.3), (Adapter(tmp_path / "two"), 0.7)], tmp_path / "both")
    got = peft.PeftModel.from_pretrained(net(), tmp_path / "both").merge_and_unload().state_dict()
    base = net().state_dict()
    for name, weight in base.items():
        expected = weight + 0.3 * (one.state_dict()[name] - weight) + 0.7 * (two.state_dict()[name] - weight)
        assert torch.allclose(got[name], expected, atol=1e-5), name


MEASURE = """
import resource, sys
from pathlib import Path
import torch, safetensors.torch
from mindgpt_plugins.stages.interpolate.run import interpolate_checkpoints
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
interpolate_checkpoints(Path(sys.argv[1]), Path(sys.argv[2]), 0.5, Path(sys.argv[3]))
print(peak() - before)
"""


def test_memory_holds_a_tensor_not_a_model(tmp_path: Path):
    weights = {f"model.{i}.weight": torch.ones(1024, 2048) for i in range(24)}  # 8 MiB each, 192 MiB per model
    start, end = save(tmp_path / "a", weights), save(tmp_path / "b", weights, 2)
    command = [sys.executable, "-c", MEASURE, str(start), str(end), str(tmp_path / "out")]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 96, f"{grown:.0f} MiB more than before"
