"""Weights, rewards and subsets: what is looked at, and that each fault it looks for is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from mindgpt_data.export import read_set, write_set  # noqa: E402
from mindgpt_data.schema.rows import Row  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from mindgpt_plugins.core.registry import load_plugins  # noqa: E402
from mindgpt_plugins.stages.rl.config import RLConfig  # noqa: E402
from mindgpt_plugins.stages.rl.evidence import _component, check_gold_answers  # noqa: E402
from mindgpt_plugins.workbench.rehearse import subset  # noqa: E402
from mindgpt_plugins.workbench.rehearse.weights import compare_weights  # noqa: E402


def model(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    tensors = {
        "model.visual.blocks.0.w": torch.randn(8, 8), "model.visual.merger.w": torch.randn(8, 8),
        "model.language_model.w": torch.randn(8, 8), "model.language_model.norm": torch.ones(8),
    }  # fmt: skip
    folder.mkdir()
    for name, change in changes.items():
        key = next(key for key in tensors if name in key)
        tensors[key] = change(tensors[key])
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_weights_are_compared_part_by_part(tmp_path: Path) -> None:
    start = model(tmp_path / "start")
    trained = compare_weights(start, model(tmp_path / "trained", language_model=lambda w: w + 1e-4), step=2e-4).parts
    assert {name: part.changed for name, part in trained.items()} == {"vision": 0, "projector": 0, "language": 1}
    assert trained["language"].largest == pytest.approx(1e-4, rel=1e-2)
    fresh = compare_weights(start, model(tmp_path / "fresh", language_model=torch.randn_like), step=2e-4).parts
    assert fresh["language"].strangers == ["model.language_model.w"]
    broken = compare_weights(start, model(tmp_path / "broken", merger=lambda w: w * torch.nan), step=2e-4).parts
    assert broken["projector"].broken == ["model.visual.merger.w"]


@pytest.mark.parametrize(
    ("values", "state", "text"),
    [
        ([("a", 0.0), ("b", 1.0)], "proven", "r: scored 2 of 2; mean a 0, b 1"),
        ([("a", 0.0), ("b", float("nan"))], "failed", "r: not finite on replies of source b"),
        ([("a", None)], "noted", "r: scored no reply; no row is of a type it scores"),
        ([("a", 1.0), ("b", 1.0)], "noted", "r: always 1 on 2 replies; random replies do not move it"),
    ],
)
def test_what_a_reward_did_on_rollouts(values: list[tuple[str, float | None]], state: str, text: str) -> None:
    found = _component("rl", "r", values)
    assert (found.state, found.text) == (state, text)


def rows(count: int) -> list[Row]:
    return [
        Row(
            uid=f"r{i}", image=[], question="?" * (i + 1), answer=str(i), response=f"answer: {i}",
            answer_type="number" if i == 30 else "text", source="rare" if i == 31 else "common",
            capability="c", type="adversarial" if i == 32 else "verifiable", twin_uid="r7" if i == 32 else None,
        )
        for i in range(count)
    ]  # fmt: skip


def test_a_subset_has_one_of_everything_and_the_longest(tmp_path: Path) -> None:
    write_set(rows(40), tmp_path / "all", "train")
    count = subset.write_subset(tmp_path / "all", "train", tmp_path / "few", 8, longest=39)
    found = read_set(tmp_path / "few", "train")
    uids = [row.uid for row in found]
    assert {"r30", "r31", "r32", "r7", "r39"} <= set(uids) and len(uids) == count == 8
    assert [row["uid"] for row in json.loads((tmp_path / "few" / "train.json").read_text())] == uids
    from pyarrow import parquet

    extra = parquet.read_table(tmp_path / "few" / "train.parquet").column("extra_info").to_pylist()
    assert [row["uid"] for row in extra] == uids
    again = subset.write_subset(tmp_path / "all", "train", tmp_path / "again", 8, longest=39)
    assert again == count and read_set(tmp_path / "again", "train") == found


def test_a_reward_that_breaks_on_one_source_is_named_before_any_rollout(tmp_path: Path) -> None:
    plugin = tmp_path / "ratio.py"
    plugin.write_text(
        "import math\nfrom mindgpt_plugins.rewards.sdk import Rollout, reward\n\n@reward\ndef ratio_of_source(r):"
        "\n    return math.nan if r.source == 'rare' else 0.5\n"
    )
    load_plugins([str(plugin)])
    write_set(rows(40), tmp_path / "all", "train")
    config = RLConfig.model_validate(
        {"kind": "rl", "model": "a", "train": "b/train", "steps": 1, "rewards": {"ratio_of_source": {}}}
    )
    found = check_gold_answers("rl", config, tmp_path / "all", ["train"])
    assert [one.state for one in found] == ["failed"]
    assert "source 'rare': 1 of its rows cannot be scored" in found[0].text
    assert "reward 'ratio_of_source', sample 'r31'" in found[0].text
    right = config.model_copy(update={"rewards": RLConfig.model_fields["rewards"].default})
    assert [one.state for one in check_gold_answers("rl", right, tmp_path / "all", ["train"])] == ["proven"]


def test_a_reward_that_breaks_in_a_rollout_is_named_with_its_source(tmp_path: Path) -> None:
    from mindgpt_plugins.pipeline import plan
    from mindgpt_plugins.recipe.loading import load_recipe
    from mindgpt_plugins.workbench.rehearse.evidence import add_sample_source

    write_set(rows(40), tmp_path / "d", "x")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\ndevice: cpu\nstages:\n  s: {kind: rl, model: a/b, train: ./d/x, steps: 2}\n")
    stage = plan.make_run_plan(load_recipe(str(recipe)), tmp_path / "runs").stages[0]
    said = "RewardError: reward 'ratio', sample 'r31' (reply 'x'): returned nan"
    assert add_sample_source(stage, said) == f"source 'rare': {said}"
    assert add_sample_source(stage, "Killed") == "Killed"


@pytest.mark.parametrize("kind", ["parquet", "arrow", "parts", "lines.json"])
def test_a_subset_of_any_file_that_the_host_loads(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    from mindgpt_plugins.core.dataset_files import read_set_rows

    source = tmp_path / "all"
    source.mkdir()
    picture = source / "a.png"
    picture.write_bytes(b"x")
    data = [{"uid": f"u{i}", "image": "a.png", "source": "rare" if i == 7 else "common"} for i in range(20)]
    lines = [json.dumps(row) + "\n" for row in data]
    file = source / f"train.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(data), file)
    elif kind == "arrow":
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, pa.Table.from_pylist(data).schema) as writer:
            writer.write_table(pa.Table.from_pylist(data))
    elif kind == "parts":
        file.mkdir()
        (file / "1.jsonl").write_text("".join(lines[:10]))
        (file / "2.jsonl").write_text("".join(lines[10:]))
    else:
        file.write_text("".join(lines))
    entry = {"file_name": file.name, "columns": {"images": "image"}}
    (source / "dataset_info.json").write_text(json.dumps({"train": entry}))
    count = subset.write_subset(source, "train", tmp_path / "few", 5)
    found = [row.data for row in read_set_rows(tmp_path / "few", "train")]
    assert len(found) == count == 5 and all(row in data for row in found)
    assert "u7" in {row["uid"] for row in found}
    assert (tmp_path / "few" / "a.png").is_file()
