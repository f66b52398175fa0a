import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mindgpt_plugins.advantage.perception import (
    Seen,
    blacken_patches,
    compute_image_dependence,
    compute_log_ratio,
    compute_perception_bonus,
    derive_perception_weights,
    draw_patch_mask,
    select_top_tokens,
    weigh_replies,
)
from mindgpt_plugins.advantage.perception_config import PapoConfig, PerceptionConfig

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
DEPENDENCES = st.lists(st.floats(0, 10), min_size=1, max_size=40)


def processor(merge: int = 2, patch: int = 16):
    from transformers import Qwen2VLImageProcessorFast

    size = {"shortest_edge": 32 * 32, "longest_edge": 512 * 512}
    sizes = {"patch_size": patch, "merge_size": merge, "temporal_patch_size": 2}
    return Qwen2VLImageProcessorFast(size=size, image_mean=MEAN, image_std=STD, **sizes)


def picture(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("merge", "patch"), [(2, 16), (2, 14), (1, 16)])
def test_masking_the_picture_and_processing_it_equals_masking_pixel_values(merge: int, patch: int):
    process, side = processor(merge, patch), merge * patch
    pictures = [picture(5 * side, 3 * side, 0), picture(2 * side, 4 * side, 1)]
    plain = process([Image.fromarray(p) for p in pictures], return_tensors="pt")
    assert plain["image_grid_thw"].tolist() == [[1, 3 * merge, 5 * merge], [1, 4 * merge, 2 * merge]]  # not resized
    mask = draw_patch_mask(plain["image_grid_thw"].tolist(), merge, 0.6, random.Random(3))
    tokens = mask.view(-1, merge * merge)
    assert bool((tokens.all(1) == tokens.any(1)).all())
    assert tokens[:15, 0].sum() == 9
    assert tokens[15:, 0].sum() == 5  # 4.8 rounds up
    start = 0
    for one in pictures:
        columns = one.shape[1] // side
        for token in range(columns * (one.shape[0] // side)):
            if tokens[start + token, 0]:
                y, x = divmod(token, columns)
                one[y * side : (y + 1) * side, x * side : (x + 1) * side] = 0
        start += columns * (one.shape[0] // side)
    wanted = process([Image.fromarray(p) for p in pictures], return_tensors="pt")["pixel_values"]
    before = plain["pixel_values"].clone()
    masked = blacken_patches(plain["pixel_values"], mask, MEAN, STD)
    assert torch.allclose(masked, wanted, atol=1e-6)
    assert not torch.allclose(plain["pixel_values"], wanted, atol=1e-6)
    assert torch.equal(plain["pixel_values"], before)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    st.floats(0.01, 1.0),
    st.integers(0, 99),
)
def test_each_picture_loses_its_share_and_the_seed_decides_which(grids, share: float, seed: int):
    grid = [(t, 2 * h, 2 * w) for t, h, w in grids]
    mask = draw_patch_mask(grid, 2, share, random.Random(seed))
    assert torch.equal(mask, draw_patch_mask(grid, 2, share, random.Random(seed)))
    start = 0
    for t, h, w in grid:
        part, tokens = mask[start : start + t * h * w], t * h * w // 4
        start += t * h * w
        assert 1 <= int(part.sum()) // 4 <= tokens
        assert abs(int(part.sum()) / 4 - share * tokens) <= 0.5 or int(part.sum()) == 4
    assert start == len(mask)


def test_rows_of_another_layout_are_refused():
    with pytest.raises(ValueError, match="layout of Qwen-VL"):
        blacken_patches(torch.zeros(4, 7), torch.zeros(4, dtype=torch.bool), MEAN, STD)
    with pytest.raises(ValueError, match="layout of Qwen-VL"):
        blacken_patches(torch.zeros(4, 6), torch.zeros(5, dtype=torch.bool), MEAN, STD)


@given(st.floats(-50, 0), st.floats(-50, 0))
def test_dependence_is_the_bounded_k3(masked: float, plain: float):
    delta = compute_log_ratio(torch.tensor([masked], dtype=torch.float64), torch.tensor([plain], dtype=torch.float64))
    d = float(compute_image_dependence(delta))
    x = max(-20.0, min(20.0, masked - plain))
    assert d == pytest.approx(max(0.0, min(10.0, math.exp(x) - x - 1)), abs=1e-12)
    assert 0.0 <= d <= 10.0


def test_mean_dependence_estimates_the_divergence_of_the_two_policies():
    generator = torch.Generator().manual_seed(0)
    p, q = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.3, 0.3, 0.4]).double()
    drawn = torch.multinomial(p, 200_000, replacement=True, generator=generator)
    estimate = float(compute_image_dependence(compute_log_ratio(q.log()[drawn], p.log()[drawn])).mean())
    assert estimate == pytest.approx(float((p * (p / q).log()).sum()), abs=2e-3)


@given(DEPENDENCES, st.floats(0.5, 1.0), st.floats(1.0, 3.0))
def test_alpha_has_mean_one_keeps_the_order_and_its_bounds(values: list[float], base: float, largest: float):
    means = torch.tensor(values, dtype=torch.float64)
    alpha = weigh_replies(means, base=base, largest=largest)
    assert float(alpha.mean()) == pytest.approx(1.0, abs=1e-9)
    assert float(alpha.min()) >= base - 1e-9
    assert float(alpha.max()) <= max(largest, 1.0) + 1e-9
    order = means.argsort()
    assert bool((alpha[order].diff() >= -1e-9).all())


@given(DEPENDENCES, st.randoms())
def test_alpha_follows_its_reply(values: list[float], rng: random.Random):
    means = torch.tensor(values, dtype=torch.float64)
    order = list(range(len(values)))
    rng.shuffle(order)
    assert torch.allclose(weigh_replies(means[order]), weigh_replies(means)[order], atol=1e-9)


def test_alpha_by_hand():
    # z = 0, .5, 1, .5; mean .5; b_max = .9 + .1 / .5 = 1.1
    alpha = weigh_replies(torch.tensor([0.0, 1.0, 2.0, 1.0]))
    assert alpha.tolist() == pytest.approx([0.9, 1.0, 1.1, 1.0])
    # One in twenty sees: b_max would be 2.9.
    alpha = weigh_replies(torch.tensor([1.0] + [0.0] * 19))
    assert alpha[0] == 2.0
    assert float(alpha.mean()) == pytest.approx(1.0)


def test_replies_that_were_not_measured_have_weight_one():
    alpha = weigh_replies(torch.tensor([math.nan, 0.0, 2.0, math.nan]))
    assert alpha.tolist() == pytest.approx([1.0, 0.9, 1.1, 1.0])
    assert weigh_replies(torch.full((3,), math.nan)).tolist() == [1.0] * 3


def test_equal_dependence_gives_one_also_up_to_noise():
    assert weigh_replies(torch.tensor([0.3, 0.3 + 1e-12, 0.3 - 1e-12], dtype=torch.float64)).tolist() == [1.0] * 3


@pytest.mark.parametrize("bad", [{"base": 0.0}, {"base": 1.5}, {"largest": 0.5}])
def test_weights_out_of_range_are_refused(bad: dict):
    with pytest.raises(ValueError, match="base must lie in"):
        weigh_replies(torch.zeros(2), **bad)


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), min_size=1, max_size=30), st.floats(0.05, 1.0))
def test_the_tokens_kept_are_those_that_depend_most(tokens: list[tuple[float, bool]], share: float):
    d, valid = torch.tensor([t[0] for t in tokens]), torch.tensor([t[1] for t in tokens])
    kept = select_top_tokens(d, valid, share)
    assert not bool((kept & ~valid).any())
    assert int(kept.sum()) == math.ceil(share * int(valid.sum()) - 1e-9)
    left = valid & ~kept
    if bool(kept.any()) and bool(left.any()):
        assert float(d[kept].min()) >= float(d[left].max())


def seen(reply: int, delta: list[float], valid: list[int] | None = None) -> Seen:
    mask = torch.tensor(valid or [1] * len(delta), dtype=torch.bool)
    return Seen(reply, torch.tensor(delta, dtype=torch.float64), mask)


def test_trajectories_of_a_session_are_one_reply_and_tool_tokens_do_not_count():
    two = {"a_0_0": seen(0, [-1.0, -9.0], [1, 0]), "a_0_1": seen(0, [-2.0]), "a_1_0": seen(1, [0.0])}
    found = derive_perception_weights(PerceptionConfig(), two, 3)
    d = [math.exp(-x) + x - 1 for x in (1.0, 2.0)]
    assert found.dependence == pytest.approx({0: sum(d) / 2, 1: 0.0})
    assert found.alpha == pytest.approx([1.1, 0.9, 1.0])
    assert found.metrics["perception/measured"] == pytest.approx(2 / 3)


def test_without_switches_tokens_get_the_replys_advantage():
    found = derive_perception_weights(PerceptionConfig(), {"k": seen(0, [-1.0, 0.0])}, 1)
    assert found.shape("k", torch.tensor([1, 0]), 0.5).tolist() == [0.5, 0.0]


def test_token_half_leaves_the_tokens_that_depend_least_without_gradient():
    config = PerceptionConfig(weight=False, token_share=0.4)
    found = derive_perception_weights(config, {"k": seen(0, [-1.0, 0.0, -3.0, 0.1, -0.2])}, 2)
    assert found.alpha == [1.0, 1.0]
    mask = torch.ones(5, dtype=torch.long)
    assert found.shape("k", mask, 2.0).tolist() == [2.0, 0.0, 2.0, 0.0, 0.0]
    assert found.shape("text only", mask, 2.0).tolist() == [2.0] * 5
    assert found.metrics["perception/tokens_kept"] == pytest.approx(0.4)


def test_the_bonus_climbs_the_divergence_from_the_masked_policy():
    logits, q = torch.tensor([0.1, -0.4, 0.9], dtype=torch.float64, requires_grad=True), torch.tensor([0.2, 0.5, 0.3])
    p = logits.softmax(0)
    (p * (p / q).log()).sum().backward()
    # All outcomes, each as often as the policy draws it: the mean is then exact.
    times = (p.detach() * 100_000).round().long()
    drawn = torch.arange(3).repeat_interleave(times)
    (added,) = compute_perception_bonus(
        [compute_log_ratio(q.log()[drawn], p.detach().log()[drawn])], weight=1.0, clip=20.0
    )
    again = logits.detach().clone().requires_grad_()
    (added * again.log_softmax(0)[drawn]).mean().backward()
    assert torch.allclose(again.grad, logits.grad, atol=1e-4)


def test_the_bonus_is_bounded_centred_and_never_on_tokens_out_of_the_loss():
    config = PerceptionConfig(weight=False, papo=PapoConfig(weight=0.1, clip=2.0))
    found = derive_perception_weights(config, {"a": seen(0, [-9.0, -1.0], [1, 0]), "b": seen(1, [0.0, 1.0])}, 2)
    a, b = (found.shape(key, torch.ones(2, dtype=torch.long), 0.0) for key in "ab")
    # -δ within ±2: 2 and 0, -1; mean 1/3
    assert a.tolist() == pytest.approx([0.1 * (2 - 1 / 3), 0.0])
    assert b.tolist() == pytest.approx([0.1 * (0 - 1 / 3), 0.1 * (-1 - 1 / 3)])
    assert found.shape("a", torch.zeros(2, dtype=torch.long), 0.0).tolist() == [0.0, 0.0]  # a dropped group


def test_a_section_that_asks_for_nothing_is_refused():
    with pytest.raises(ValueError, match="the pass would be for nothing"):
        PerceptionConfig(weight=False)
    with pytest.raises(ValueError, match="masked_share"):
        PerceptionConfig(masked_share=0.0)


def test_nothing_measured_is_no_error():
    found = derive_perception_weights(PerceptionConfig(token_share=0.4, papo=PapoConfig()), {}, 2)
    assert found.alpha == [1.0, 1.0]
    assert found.dependence == {}
