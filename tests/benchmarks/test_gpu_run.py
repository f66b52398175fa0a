"""The GPU benchmark at toy sizes on CPU: its sections run, its sides agree, its counts are right."""

# ruff: noqa: E402
from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu" / "run.py"
sys.path.insert(0, str(SCRIPT.parent))

import arms
import case_dpo
import case_linear_ce
import case_patch_embed
import case_step
import clock
import model_2b
import packing
from results import Budget, Results
from table import page
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionPatchEmbed


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path, page)
    about = {"command": "…", "begun": "…", "tiny": True, "peak_tflops": 1.0, "versions": {}}
    made.start({**about, "sections": ["patch_embed", "step", "dpo", "linear_ce"]})
    return made


def later() -> Budget:
    return Budget(time.time() + 600)


def rows(results: Results) -> list[dict[str, Any]]:
    return results.read()["rows"]


def test_the_model_is_the_2b() -> None:
    model = model_2b.build(False, "meta")
    assert sum(p.numel() for p in model.parameters()) == model_2b.PARAMETERS == 2_127_532_032
    assert model.config.text_config.rope_parameters["rope_theta"] == 5e6


def test_operations_of_a_step_by_hand() -> None:
    model = model_2b.build(True, "meta")
    got = model_2b.needs(model, lengths=[10, 6], patches=[8], supervised=5)
    layer = 64 * 16 * (4 + 2 + 2) + 4 * 16 * 64 + 3 * 64 * 96
    assert got.text == 6 * 2 * layer * 16 + 6 * 2 * 4 * 16 * (100 + 36)
    assert got.head == 6 * 512 * 64 * 5
    blocks, embed = 2 * (4 * 32 * 32 + 2 * 32 * 64), 32 * 3 * 2 * 16 * 16
    assert got.vision == 6 * ((blocks + embed) * 8 + 2 * (128 * 128 + 128 * 64) * 2) + 12 * 2 * 32 * 64


def test_positions_are_the_models_own() -> None:
    config = model_2b.raw(True)
    model = model_2b.build(True, "meta")
    for one in packing.samples(4, 3, config, True):
        kinds = (one.ids == config["image_token_id"]).int()[None]
        grid = torch.tensor([[1, *one.grid]])
        want, _ = model.model.get_rope_index(one.ids[None], mm_token_type_ids=kinds, image_grid_thw=grid)
        assert torch.equal(want[:, 0], one.positions[1:])


def test_patch_embed(results: Results) -> None:
    case_patch_embed.run(results, later(), True)
    assert not hasattr(Qwen3VLVisionPatchEmbed.forward, "__wrapped__"), "the host is as it was"
    found = rows(results)
    assert {row["side"] for row in found} == {case_patch_embed.HOST, case_patch_embed.PATCH, case_patch_embed.OP}
    assert all(row["state"] == "ok" and row["error"] < 1e-2 for row in found)
    assert all(row["error"] < 1e-5 for row in found if row["dtype"] == "float32")


def test_a_refusal_is_reported(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_patch_embed.patch_embed_linear, "KNOWN", {})
    case_patch_embed.run(results, later(), True)
    states = {row["side"]: row["state"] for row in rows(results)}
    assert states[case_patch_embed.PATCH].startswith("refused: ")
    assert states[case_patch_embed.HOST] == states[case_patch_embed.OP] == "ok"
    with arms.ARMS[3].installed(model_2b.build(True, "meta")) as patches:
        assert patches["patch_embed_linear"].startswith("refused: ") and patches["pos_embed_cache"] == "applied"


def test_linear_ce_sides_agree(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        case_linear_ce, "SIDES", ("ours", "ours, Triton", "hf", "liger", "cce")
    )  # verl's file imports for seconds
    case_linear_ce.run(results, later(), True)
    found = rows(results)
    checked = [row for row in found if "error_weight" in row]
    assert {"ours", "hf"} <= {row["side"] for row in checked}
    assert all(row["state"] == "ok" and row["error_weight"] < 2e-2 and row["error_hidden"] < 2e-2 for row in checked)
    assert all(row.get("extra_bytes") is None and "ms" not in row for row in found)
    assert {row["side"] for row in found if row["state"].startswith("absent")} == {"ours, Triton", "liger", "cce"}
    assert "predicted GB" in results.page.read_text()


def test_dpo_ways_agree(results: Results) -> None:
    case_dpo.run(results, later(), True)
    assert len(rows(results)) == 12
    assert all(row["state"] == "ok" and row["difference"] < 1e-2 for row in rows(results))


def test_step_curves_agree_and_a_wrong_one_is_marked(results: Results) -> None:
    case_step.run(results, later(), True)
    found = {row["arm"]: row for row in rows(results)}
    for arm in ("stock, padded", "stock + packing", "ours + packing"):
        assert found[arm]["curve"] == "agrees", found[arm]
    assert found["stock, padded"]["losses"][-1] < found["stock, padded"]["losses"][1]
    assert found["ours + packing"]["patches"]["patch_embed_linear"] == "applied"
    assert found["HF + Liger + packing"]["state"] == "absent: liger-kernel needs a GPU"
    wrong = {"a": found["stock, padded"], "b": {**found["ours + packing"], "losses": [0.0] * case_step.CURVE}}
    case_step._judge(wrong, case_step.TINY_TOLERANCE)
    assert wrong["b"]["curve"].startswith("differs: losses")


def test_time_that_is_up_leaves_cases_out(results: Results) -> None:
    case_dpo.run(results, Budget(time.time() - 1), True)
    assert len(rows(results)) == 6
    assert all(row["state"] == "left out: the time was up" for row in rows(results))


def test_out_of_memory_is_a_result() -> None:
    def greedy() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    found = clock.compete({"greedy": greedy, "modest": lambda: None}, 0.1)
    assert found == {"greedy": {"state": "out of memory"}, "modest": {"state": "ok", "extra_bytes": None}}


def test_timed_rounds_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would otherwise run for the first time on a GPU, with a stop watch that always says 3."""
    taken: list[str] = []

    def watch(call: Any, inner: int = 1) -> float:
        for _ in range(inner):
            call()
        return 3.0

    def fails_late() -> None:
        taken.append("b")
        if taken.count("b") > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(clock, "milliseconds", watch)
    monkeypatch.setattr(clock, "peak", lambda call: 7)
    found = clock.compete({"a": lambda: taken.append("a"), "b": fails_late}, 60, rounds=5)
    assert found == {"a": {"state": "ok", "extra_bytes": 7, "ms": [3.0] * 5}, "b": {"state": "out of memory"}}
    assert "".join(taken) == "aabb" + "ab" * 2 + "aaa"

    monkeypatch.undo()
    monkeypatch.setattr(case_step, "milliseconds", watch)
    config = model_2b.raw(True)
    drawn = packing.samples(2, 1, config, True)
    data = {True: [packing.packed(drawn, 64, 1536, 0)], False: [packing.padded(drawn, 2, 1536, 0)]}
    ready = {arm.name: arm for arm in arms.ARMS if arm.liger is None}
    steps: dict[str, dict[str, Any]] = {name: {"state": "ok"} for name in ready}
    case_step._time(model_2b.build(True, "cpu"), ready, steps, data, later())
    assert len(steps) == 3 and all(one == {"state": "ok", "ms": [3.0] * case_step.ROUNDS} for one in steps.values())


def test_page_of_a_gpu() -> None:
    step = {"section": "step", "arm": "ours", "state": "ok", "ms": [500.0, 490.0, 530.0], "supervised": 1000.0}
    step |= {"tokens": 4000.0, "operations": 2e14, "peak_bytes": 5e10, "curve": "agrees", "patches": {"x": "applied"}}
    step |= {"losses": [2.0], "gradient_norms": [1.0], "tolerance": {"losses": 0.005}}
    about = {"command": "…", "begun": "…", "versions": {}, "sections": ["step"], "peak_tflops": 1000.0}
    text = page({**about, "rows": [step]})
    assert "| ours | 500 [490, 530] | 2,000 | 8,000 | 40.0% | 50.00 | agrees | x: applied | ok |" in text


@pytest.mark.slow
def test_command(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--tiny", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert {row["section"] for row in content["rows"]} == {"patch_embed", "step", "dpo", "linear_ce"}
    assert not any(row["state"].startswith("failed") for row in content["rows"])
    assert "Toy sizes" in (tmp_path / "gpu.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_without_a_gpu_nothing_is_written(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == (
        "error: torch sees no GPU; --tiny runs everything at toy sizes on CPU\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_materialised_is_llamafactorys() -> None:
    trainer_utils = pytest.importorskip("llamafactory.train.trainer_utils")
    hidden, weight = torch.randn(4, 9, 8), torch.randn(30, 8)
    labels = torch.randint(0, 30, (4, 9))
    labels[:, :4] = -100
    want, _ = trainer_utils.get_batch_logps((hidden @ weight.t()).float(), labels)
    torch.testing.assert_close(case_dpo.materialised(hidden, weight, labels)[0], want)
