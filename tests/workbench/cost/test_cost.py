"""Costs of a recipe: counted on its rows, scaling as the work does, and refused where nothing is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from PIL import Image  # noqa: E402
from support import hub_folders  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from mindgpt_plugins.cli import build_cli_app  # noqa: E402
from mindgpt_plugins.pipeline import plan  # noqa: E402
from mindgpt_plugins.recipe.loading import load_recipe  # noqa: E402
from mindgpt_plugins.sizing.gpus import CostError  # noqa: E402
from mindgpt_plugins.workbench.cost.estimate import StageCost, estimate_plan_cost  # noqa: E402
from mindgpt_plugins.workbench.rehearse.models import ModelNotHere  # noqa: E402

HUB = "Qwen/Qwen3-VL-8B-Instruct"
ROWS = 12
TRAIN = f"kind: sft, model: {HUB}, data: [./data/train], epochs: 2, batch_size: 4, cutoff_len: 4096"
RL = f"kind: rl, model: {HUB}, train: ./data/train, steps: 10, prompts_per_step: 4, group_size: 8"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub_folders.make("qwen3_vl_8b", tmp_path_factory.mktemp("hub") / "8b")


@pytest.fixture
def costs(tmp_path: Path, hub: Path) -> Callable[..., dict[str, StageCost]]:
    """Write a recipe with the given stages and a set of 12 rows, one picture each; return the estimates by stage."""
    (tmp_path / "data").mkdir()
    Image.new("RGB", (640, 480)).save(tmp_path / "data" / "a.png")
    turns = [{"role": "user", "content": "<image>what colour is it?"}, {"role": "assistant", "content": "answer: red"}]
    rows = [
        {"messages": turns, "images": ["a.png"], "difficulty": i / ROWS, "capability": "colour"}
        | {"source": "general" if i < 3 else "domain"}
        for i in range(ROWS)
    ]
    (tmp_path / "data" / "train.json").write_text(json.dumps(rows))
    entry = {"file_name": "train.json", "formatting": "sharegpt", "columns": {"messages": "messages"}}
    entry["columns"]["images"] = "images"  # type: ignore[index]
    entry["tags"] = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps({"train": entry}))

    def run(*stages: str, **options: Any) -> dict[str, StageCost]:
        body = "".join(f"  {one.partition(' ')[0]}: {{{one.partition(' ')[2]}}}\n" for one in stages)
        head = "name: costs\ndevice: cpu\nimage: {min_pixels: 1024, max_pixels: 1048576}\nstages:\n"
        (tmp_path / "costs.yaml").write_text(head + body)
        made = plan.make_run_plan(load_recipe(str(tmp_path / "costs.yaml"), []), tmp_path / "runs")
        return {one.stage: one for one in estimate_plan_cost(made, models={HUB: hub}, **options)}

    return run


def test_counted_on_the_rows(costs: Any, hub: Path) -> None:
    found = costs(f"sft {TRAIN}")["sft"]
    assert (found.steps, found.samples, found.images) == (6, 24, 24)
    from transformers import AutoProcessor

    content = [{"type": "image", "image": Image.new("RGB", (640, 480))}, {"type": "text", "text": "what colour is it?"}]
    turns = [{"role": "user", "content": content}]
    turns += [{"role": "assistant", "content": [{"type": "text", "text": "answer: red"}]}]
    made = AutoProcessor.from_pretrained(hub).apply_chat_template(turns, tokenize=True, return_dict=True)
    assert found.tokens == 24 * len(made["input_ids"][0])
    assert found.flops == pytest.approx(6 * 8.19e9 * found.tokens, rel=0.15), "six per weight, and a frozen tower"
    assert found.gpu_hours == pytest.approx(found.flops / (0.35 * 989.4e12) / 3600)


def test_what_learns_decides(costs: Any) -> None:
    found = costs(
        f"frozen {TRAIN}",
        f"seeing {TRAIN}, freeze_vision_tower: false",
        f"lora {TRAIN}, finetuning: lora",
        f"anchored {TRAIN}, kl: {{sources: [general]}}",
        f"pairs {TRAIN.replace('sft', 'dpo')}",
        f"short {TRAIN.replace('4096', '200')}",
        f"own {TRAIN}, llamafactory: {{freeze_vision_tower: false, freeze_multi_modal_projector: false, max_steps: 6}}",
    )
    plain = found["frozen"].flops
    assert plain < found["seeing"].flops < 1.5 * plain
    assert 0.6 * plain < found["lora"].flops < 0.8 * plain, "no gradients of frozen weights"
    assert 1.05 * plain < found["anchored"].flops < 1.15 * plain, "a quarter of the rows forward once more"
    assert found["pairs"].flops == pytest.approx(2 * plain * 4 / 3, rel=0.05), "two replies, policy and reference"
    assert found["short"].tokens == 24 * 200 and any("cut at cutoff_len" in one for one in found["short"].assumptions)
    assert found["own"].flops == pytest.approx(found["seeing"].flops), "the host's own keys win"
    assert any("25 % of the rows" in one for one in found["anchored"].assumptions)


def test_rl_generates_scores_and_updates(costs: Any) -> None:
    found = costs(
        f"plain {RL}",
        f"referred {RL}, verl: {{actor_rollout_ref: {{actor: {{use_kl_loss: true}}}}}}",
        f"bypassed {RL}, verl: {{algorithm: {{rollout_correction: {{bypass_mode: true}}}}}}",
        f"harder {RL}, group_size_by_difficulty: {{0.5: 24}}",
    )
    plain = found["plain"]
    assert (plain.steps, plain.samples) == (10, 320)
    assert found["referred"].flops > 1.1 * plain.flops
    assert found["bypassed"].flops < 0.9 * plain.flops
    assert any("log-probabilities: none computed again" in one for one in found["bypassed"].assumptions)
    assert found["harder"].samples == 640, "half of the rows get 24 replies instead of 8"
    halved = costs(f"plain {RL}", reply_share=0.5)["plain"]
    assert halved.tokens == plain.tokens - 320 * 256 and halved.gpu_hours < 0.9 * plain.gpu_hours
    assert any("bound by memory" in one for one in plain.assumptions)
    other = costs(f"plain {RL}", gpu="h200")["plain"]
    assert other.flops == plain.flops and other.gpu_hours < plain.gpu_hours, "the same peak, more bandwidth"


def test_replies_and_sets_that_are_not_made_yet(costs: Any) -> None:
    found = costs(
        f"before kind: evaluate, model: {HUB}, sets: [./data/train], samples: {{n: 4, rows: 2}}, max_new_tokens: 100",
        f"again kind: rejection_sampling, model: {HUB}, prompts: [./data/train], samples: 4, max_new_tokens: 100",
        f"learn kind: sft, model: {HUB}, data: [again/restore], epochs: 1, batch_size: 4",
        "more kind: sft, model: learn, data: [./data/train], epochs: 1, batch_size: 4",
    )
    assert found["before"].samples == 12 + 4 * 4 + 4, "greedy, four samples and a blank picture of two rows per group"
    assert found["again"].samples == 48 and found["again"].steps == 0
    assert found["learn"].samples == 12 and any("not made yet" in one for one in found["learn"].assumptions)
    assert found["more"].flops > 0, "a stage's model has the sizes of the one it started from"


def test_a_model_and_sets_to_come(tmp_path: Path) -> None:
    found = {one.stage: one for one in estimate_plan_cost(plan.make_run_plan(load_recipe("quickstart", []), tmp_path))}
    assert all(one.counted for one in found.values()) and found["world"].gpu_hours == 0
    assert (found["base"].steps, found["base"].samples) == (1400, 22400)
    assert (found["align"].steps, found["align"].samples) == (60, 1920), "960 pairs, a step of 16"
    assert found["rl"].samples == 90 * 16 * 8


def test_a_set_without_a_budget_is_as_long_as_its_density_says(tmp_path: Path) -> None:
    recipe = load_recipe("quickstart", ["stages.world.sets.general_train.sources.general.items=null"])
    found = {one.stage: one for one in estimate_plan_cost(plan.make_run_plan(recipe, tmp_path))}
    assert not found["base"].counted and "run with --until world first" in found["base"].assumptions[0]


def test_what_cannot_be_known(costs: Any, tmp_path: Path) -> None:
    data = "kind: data, images: {path: ./data}"
    found = costs(f"made {data}", "sft " + TRAIN.replace("./data/train", "made/data_train"))
    assert not found["sft"].counted and "run with --until made first" in found["sft"].assumptions[0]
    with pytest.raises(CostError, match="give --model Qwen/Qwen3-VL-2B=FOLDER"):
        costs("sft " + TRAIN.replace(HUB, "Qwen/Qwen3-VL-2B"))
    with pytest.raises(CostError, match="--mfu 35: a share"):
        costs(f"sft {TRAIN}", mfu=35)
    (tmp_path / "data" / "train.json").write_text("[]")
    with pytest.raises(CostError, match="'train' in .* has no rows"):
        costs(f"sft {TRAIN}")


def test_the_verb(costs: Any, tmp_path: Path, hub: Path) -> None:
    expected = costs(f"sft {TRAIN}", f"rl {RL}")
    arguments = ["plan", "cost", str(tmp_path / "costs.yaml"), "--model", f"{HUB}={hub}", "--runs", str(tmp_path / "r")]
    with pytest.raises(ModelNotHere, match=f"model {HUB}: neither a folder nor in the local Hugging Face cache"):
        CliRunner().invoke(build_cli_app(), arguments[:3], catch_exceptions=False)
    shown = CliRunner().invoke(
        build_cli_app(), [*arguments, "--json", str(tmp_path / "o.json")], catch_exceptions=False
    )
    assert shown.exit_code == 0
    said = " ".join(shown.output.split())
    assert "H100 SXM" in said and "datasheet" in said and "total" in said
    assert "sft: vision tower frozen: forward pass only" in said and "no run on GPUs has been compared" in said
    written = json.loads((tmp_path / "o.json").read_text())
    assert [one["stage"] for one in written["stages"]] == ["sft", "rl"] and written["gpu"]["tflops"] == 989.4
    assert written["stages"][1]["gpu_hours"] == pytest.approx(expected["rl"].gpu_hours)
