"""The RL ablation: decisions of its table, its loss beside verl's, its policy beside the plain model, a micro run."""

from __future__ import annotations

import math
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "rl"))

from ablation_arms import ARMS, MAIN, OURS, Settings
from ablation_table import CLAIMS, METRICS, SHOWN, decide, matched_tokens, table
from confirm import CONFIRMED, figures, recipe

from mindgpt_plugins.recipe.loading import validate_recipe
from mindgpt_plugins.stages.model.config import ModelConfig

Figures = dict[str, Any]


def line(arm: str, seed: int, **figures: Any) -> Figures:
    base: Figures = dict.fromkeys([*METRICS, *SHOWN], 0.5) | {"right": [2, 1], "right_tokens": [10, 8]}
    return base | {"arm": arm, "seed": seed} | figures


NOISE = (0.0, 0.003, -0.002, 0.001, -0.003, 0.002)


def test_decisions_know_the_better_direction_and_the_shared_seeds() -> None:
    lines = [line(OURS, s, **{"pass@1": 0.60 + e, "false_refusal": 0.05 + e}) for s, e in enumerate(NOISE)]
    lines += [line("grpo", s, **{"pass@1": 0.55, "false_refusal": 0.0}) for s in range(6)]
    lines += [line("gdpo", s, **{"pass@1": 0.60 + NOISE[-1 - s], "false_refusal": 0.09}) for s in range(6)]
    lines.append(line("grpo", 9, **{"pass@1": 0.0}))  # ours has no seed 9
    found = decide(lines)
    assert found["grpo", "pass@1"]["decision"] == "win" and len(found["grpo", "pass@1"]["d"]) == 6
    assert found["grpo", "false_refusal"]["decision"] == "loss"
    assert found["gdpo", "false_refusal"]["decision"] == "win"
    assert found["gdpo", "pass@1"]["decision"] == "null"
    assert found["gdpo", "sight"]["decision"] == "null"  # equal everywhere
    assert statistics.mean(found["grpo", "pass@1"]["d"]) == pytest.approx(5.0, abs=0.1)  # in points
    text = table(lines)
    assert "| the whole beats GRPO | grpo | pass@1 (%) | +5.0 [" in text and "| grpo | 7 |" in text


def test_holm_corrects_over_the_arms_of_one_metric() -> None:
    lines = [line(OURS, s, **{"pass@1": 0.5 + e}) for s, e in enumerate(NOISE)]
    lines += [line("grpo", s, **{"pass@1": 0.497}) for s in range(6)]
    alone = decide(lines)["grpo", "pass@1"]
    lines += [line("gdpo", s, **{"pass@1": 0.498}) for s in range(6)]
    found = decide(lines)
    assert alone["holm"] == alone["p"]
    assert found["grpo", "pass@1"]["holm"] == pytest.approx(2 * min(f["p"] for f in _of(found, "pass@1")), rel=1e-9)


def _of(found: dict[tuple[str, str], Figures], metric: str) -> list[Figures]:
    return [one for (_, name), one in found.items() if name == metric]


def test_tokens_are_compared_on_questions_that_both_answer() -> None:
    a = {"right": [4, 0, 2], "right_tokens": [20, 0, 20]}
    b = {"right": [1, 5, 4], "right_tokens": [9, 5, 12]}
    assert matched_tokens(a, b) == ((5 + 10) / 2, (9 + 3) / 2)


def test_every_claim_names_arms_and_metrics_that_are_there() -> None:
    assert all(other in ARMS and set(metrics) <= set(METRICS) for _, other, metrics in CLAIMS)
    assert set(MAIN) <= set(ARMS) and {arm for _, arm, _ in CLAIMS} == set(ARMS) - {OURS}


def test_loss_is_verls() -> None:
    core = pytest.importorskip("verl.trainer.ppo.core_algos")
    from ablation_loop import policy_loss
    from verl.workers.config import ActorConfig

    generator = torch.Generator().manual_seed(0)
    lengths = [3, 1, 6, 4]
    mask = torch.tensor([[1.0] * n + [0.0] * (6 - n) for n in lengths])
    new = -torch.rand(4, 6, generator=generator) * 3
    old = new + torch.randn(4, 6, generator=generator)  # ratios far outside the clip range, on both sides
    advantages = torch.tensor([0.7, -1.3, 0.0, -0.2])[:, None].expand(4, 6)
    config = ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio=0.2,
        clip_ratio_low=0.2,
        clip_ratio_high=0.28,
        clip_ratio_c=3.0,
    )
    theirs, _ = core.compute_policy_loss_vanilla(old, new, advantages, mask, "token-mean", config)
    flat = mask.bool()
    ours = policy_loss(new[flat], old[flat], advantages[flat], (0.2, 0.28))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)
    assert float(ours) != pytest.approx(float(-(advantages[flat] * (new - old)[flat].exp()).mean()), rel=0.01)


TINY = Settings(
    steps=2, prompts=4, group=5, warm_steps=2, warm_batch=8, train_rows=30, warm_rows=30, test_rows=9, samples=4,
    few_samples=2, max_tokens=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh model and the prompts of one seed."""
    from ablation_world import make

    from mindgpt_plugins.stages.model.run import build_model

    folder = tmp_path_factory.mktemp("tiny")
    config = ModelConfig(
        kind="model", tokenizer_from=["x/y"], vocab_size=300, hidden_size=64, layers=1, vision_layers=1
    )
    build_model(config, ["what colour is the circle?", "answer: red"], folder / "start", 0, 32 * 32, 96 * 96)
    make(folder / "data", 3, TINY.warm_rows, TINY.train_rows, TINY.test_rows)
    return folder


def test_replies_are_scored_as_the_plain_model_does(tiny: Path) -> None:
    from ablation_policy import Policy
    from ablation_prompts import Prompts

    policy = Policy(tiny / "start", 8)
    prompts = Prompts(tiny / "data", policy)
    encoded = prompts.encoded(prompts.sets["train"][:3])
    replies, sampled = policy.sample(encoded, list(range(6)))
    alone, _ = policy.sample(encoded[1:2], [2, 3])
    assert alone == replies[2:4]  # neither neighbours nor padding change a sample
    with torch.no_grad():
        scored = policy.log_probs(encoded, replies).split([len(reply) for reply in replies])
    for number, (reply, own, before) in enumerate(zip(replies, scored, sampled, strict=True)):
        prompt = encoded[number // 2]
        ids = torch.cat([prompt.ids, torch.tensor(reply)])[None]
        with torch.no_grad():
            logits = policy.model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=(ids == policy.model.config.image_token_id).int(),
                pixel_values=prompt.pixels,
                image_grid_thw=prompt.grid,
            ).logits[0, len(prompt.ids) - 1 : -1]
        plain = logits.log_softmax(-1).gather(1, torch.tensor(reply)[:, None])[:, 0]
        assert torch.allclose(own, plain, atol=1e-4) and torch.allclose(own, torch.tensor(before), atol=1e-4)


def test_twins_stand_beside_their_partners_at_equal_rollouts(tiny: Path) -> None:
    from ablation_policy import Policy
    from ablation_prompts import Prompts

    prompts = Prompts(tiny / "data", Policy(tiny / "start", 8))
    kinds = {row.uid.split("-")[0] for row in prompts.sets["train_twins"]}
    assert kinds <= {"blank", "swapped", "false_premise"} and "covered" not in kinds
    plain, mixed = (list(prompts.steps(TINY, twins, 3)) for twins in (0, 1))
    for without, batch in zip(plain, mixed, strict=True):
        assert len(batch) == len(without) == TINY.prompts
        twins = [row for row in batch if row.type == "adversarial"]
        partners = [row.uid for row in without if row.uid in prompts.twin_of]
        assert len(twins) == min(1, len(partners)) and all(t.twin_uid in {row.uid for row in batch} for t in twins)
        assert {row.uid for row in batch if row.type != "adversarial"} <= {row.uid for row in without}


def test_micro_run_trains_every_kind_of_arm(tiny: Path) -> None:
    from ablation_loop import reinforce, warm_up
    from ablation_measures import measure
    from ablation_policy import Policy
    from ablation_prompts import Prompts

    policy = Policy(tiny / "start", TINY.max_tokens)
    prompts = Prompts(tiny / "data", policy)
    before = policy.model.model.language_model.embed_tokens.weight.clone()
    warm_up(policy, prompts, TINY, 3)
    assert not torch.equal(before, policy.model.model.language_model.embed_tokens.weight)
    for name in (OURS, "reward_sum", "gdpo", "pass_at_k", "blank_images"):
        figures = reinforce(policy, prompts, ARMS[name], TINY, 3)
        assert set(figures) == {"right_first", "right_last", "violations"}
        assert all(math.isfinite(value) for value in figures.values())
    found = measure(policy, prompts, TINY, 3)
    assert len(found["right"]) == len(found["right_tokens"]) == TINY.test_rows
    assert found["pass@1"] == pytest.approx(sum(found["right"]) / (TINY.test_rows * TINY.samples))
    assert 1 <= found["distinct"] <= TINY.samples and "pass@8" not in found


@pytest.mark.parametrize("name", CONFIRMED)
def test_recipes_for_verl_are_valid(name: str, tiny: Path, tmp_path: Path) -> None:
    stage = validate_recipe(recipe(name, 3, tiny, Settings(), 30), tmp_path / "r.yaml").stages["rl"]
    arm = ARMS[name]
    assert set(stage.rewards) == set(arm.rewards) and stage.advantage.name == arm.advantage["name"]
    assert (stage.perception is not None) == (arm.perception is not None)
    assert (tiny / "data" / f"{stage.train.rpartition('/')[2]}.parquet").is_file()
    assert (stage.prompts_per_step * stage.group_size) % stage.micro_batch == 0


def test_figures_of_dumped_rollouts() -> None:
    def row(group: str, score: float, kind: str = "verifiable", text: str = "a") -> Figures:
        return {"step": 1, "group": group, "score": score, "type": kind, "tokens": 5, "output": text}

    rows = [row("p0", float(i < 2), text=str(i)) for i in range(8)] + [row("p1", 0.0) for _ in range(8)]
    rows += [row("p2", score, "adversarial") for score in (1.0, 0.3, -1.0, 0.0)]
    found = figures(rows)
    assert found["pass@1 (%)"] == pytest.approx(12.5) and found["pass@8 (%)"] == pytest.approx(50.0)
    assert found["distinct of 8"] == pytest.approx(4.5) and found["refused twins (%)"] == pytest.approx(50.0)
