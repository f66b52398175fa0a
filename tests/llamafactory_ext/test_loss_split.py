"""The loss with everything on, beside the host's own: how far does the split of a step move the weights?"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lf_assets import command, distance, environment, host_config, metrics, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SPLITS: dict[str, dict[str, Any]] = {
    "bs4·GA1": {},
    "bs4·GA1, worker": {"dataloader_num_workers": 1},
    "bs2·GA2": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
    "bs1·GA4, worker": {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 4,
        "dataloader_num_workers": 1,
    },
    "bs2, 2 ranks": {"per_device_train_batch_size": 2},
}
SECTION = {
    "loss": {"name": "weighted_ce", "options": {"weights": {"domain": 2.0}, "length_weighting": "sqrt"}},
    "kl": {"sources": ["general"], "beta": 0.5},
}


@pytest.fixture(scope="module")
def trained(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """The same six SGD steps in float32, ours and stock, each step cut up in several ways."""
    out = tmp_path_factory.mktemp("splits")
    done = {}
    for number, (name, change) in enumerate(SPLITS.items()):
        ranks = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"} if "ranks" in name else {}
        for side in ("ours", "stock"):
            section = {"mindgpt": SECTION} if side == "ours" else {}
            config = host_config(world, out / f"{side}{number}", optim="sgd", learning_rate=0.1, **section, **change)
            module = "mindgpt_plugins.llamafactory_ext" if side == "ours" else "llamafactory.cli"
            done[side, name] = train(config, module, **ranks)
    return done


def test_ours_agrees_and_stock_does_not(trained: dict[tuple[str, str], Path], world: Path) -> None:
    moved = {side: distance(trained[side, "bs4·GA1"], world / "model") for side in ("ours", "stock")}
    apart = {key: distance(trained[key[0], "bs4·GA1"], folder) for key, folder in trained.items()}
    print(f"\n{'largest difference of a weight from bs4·GA1':45}{'ours':>10}{'stock':>10}")
    for name in SPLITS:
        print(f"{name:45}{apart['ours', name]:10.1e}{apart['stock', name]:10.1e}")
    print(f"{'(moved from the start)':45}{moved['ours']:10.1e}{moved['stock']:10.1e}")
    assert min(moved.values()) > 1e-2
    assert all(apart["ours", name] <= 1e-6 for name in SPLITS)
    assert all(apart["stock", name] > 1e-3 for name in SPLITS if "bs4" not in name)


def test_the_logged_sums_agree(trained: dict[tuple[str, str], Path]) -> None:
    lines = {name: metrics(trained["ours", name]) for name in SPLITS}
    for name in SPLITS:
        for one, other in zip(lines["bs4·GA1"], lines[name], strict=True):
            assert one.keys() == other.keys()
            for key in one:
                if key.startswith(("loss", "tokens", "kl")):
                    assert other[key] == pytest.approx(one[key], rel=1e-4, abs=1e-7), (name, key)
    assert all({"loss/domain", "tokens/general"} & line.keys() for line in lines["bs4·GA1"])


def test_lora_against_a_second_model_starts_at_zero_with_images(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "model", tmp_path / "copy")  # another path: the adapter is not just switched off
    section = {"kl": {"sources": ["general"], "beta": 0.5, "reference": str(tmp_path / "copy")}}
    lora = {"finetuning_type": "lora", "lora_rank": 4, "lora_target": "all", "max_steps": 3}
    anchored = [
        line["kl/general"] for line in metrics(train(host_config(world, tmp_path / "r", mindgpt=section, **lora)))
    ]
    assert anchored[0] == 0.0
    assert anchored[-1] > 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: {**config, "model_type": "qwen2_5_vl"}, "is qwen2_5_vl"),
        (None, "have different tokenizers"),
    ],
    ids=["architecture", "tokenizer"],
)
def test_a_reference_that_cannot_be_compared_is_one_line(
    world: Path, tmp_path: Path, change: Any, message: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(world / "model", other)
    if change is not None:
        path = other / "config.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
    else:
        path = other / "tokenizer.json"
        tokenizer = json.loads(path.read_text())
        vocabulary = tokenizer["model"]["vocab"]
        first, second = list(vocabulary)[40:42]
        vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
        path.write_text(json.dumps(tokenizer))
    section = {"kl": {"sources": ["general"], "reference": str(other)}}
    config = host_config(world, tmp_path / "run", mindgpt=section, max_steps=1)
    done = subprocess.run(command(config), env=environment(), capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-2000:]
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("mindgpt: error:")]
    assert "kl.reference" in error and message in error
