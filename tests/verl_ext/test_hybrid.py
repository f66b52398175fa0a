import json

import pytest

from mindgpt_plugins.recipe.rl import AdvantageConfig
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.verl_ext.hybrid import Hybrid, Reply, RolloutError, refuse_errors, refuse_missing


def hybrid(**advantage) -> Hybrid:
    rewards = {"accuracy": {}, "conciseness": {"weight": 0.2, "options": {"budget": 10}}}
    suite = Suite({name: RewardConfig.model_validate(config) for name, config in rewards.items()})
    return Hybrid(suite, AdvantageConfig.model_validate({"lambda": 0.5, **advantage}))


def replies(*groups: list[tuple[float, int]]) -> list[Reply]:
    return [
        Reply(f"g{g}", s, Rollout("t", "t", length=length, uid=f"{g}-{s}"), score, {"accuracy": score})
        for g, group in enumerate(groups)
        for s, (score, length) in enumerate(group)
    ]


def test_rows_keep_their_place_whatever_the_order_of_groups():
    batch = replies([(1.0, 5), (0.0, 5), (0.0, 5), (0.0, 9)], [(1.0, 5), (1.0, 9), (0.0, 1), (0.0, 1)])
    plain = hybrid().run(batch)
    mixed = [batch[i] for i in (5, 0, 7, 2, 1, 6, 3, 4)]
    shuffled = hybrid().run(mixed)
    assert [shuffled.advantages[mixed.index(reply)] for reply in batch] == pytest.approx(plain.advantages)
    assert shuffled.components[0]["conciseness"] == pytest.approx(0.5 * 4 / 10)


def test_figures():
    step = hybrid(k=2).run(replies([(1.0, 5), (0.0, 5)], [(1.0, 5), (1.0, 15)], [(0.0, 3), (0.0, 4)]))
    figures = step.metrics
    assert figures["group/pass@1"] == 0.5
    assert figures["group/pass@2"] == pytest.approx(2 / 3)
    assert (figures["group/all_correct"], figures["group/all_wrong"]) == pytest.approx((1 / 3, 1 / 3))
    assert figures["reward/accuracy/mean"] == 0.5
    assert figures["advantage/order_violations"] == 0.0
    assert figures["advantage/lambda"] == 0.5
    assert 0 < figures["advantage/share/conciseness"] < 1
    assert figures["advantage/share/pass_at_k"] > 0


def test_a_missing_sibling_makes_a_ragged_group():
    with pytest.warns(UserWarning, match="smaller than k=4"):
        step = hybrid().run(replies([(1.0, 5), (0.0, 5), (0.0, 5), (1.0, 5)], [(1.0, 5), (0.0, 5)]))
    assert len(step.advantages) == 6
    assert sum(step.advantages[4:]) == pytest.approx(0.0)


def test_other_advantages_by_name():
    batch = replies([(1.0, 5), (0.0, 5), (0.0, 5), (0.0, 5)])
    grpo = hybrid(name="grpo", options={"norm_by_std": False}).run(batch).advantages
    assert grpo == pytest.approx([0.75, -0.25, -0.25, -0.25])
    with pytest.raises(ValueError, match="no advantage 'grop'; did you mean 'grpo'"):
        hybrid(name="grop")
    with pytest.raises(ValueError, match="no option 'norm'"):
        hybrid(name="grpo", options={"norm": True})
    with pytest.raises(ValueError, match="must stay in"):
        hybrid(**{"lambda": 1.5})


def test_a_failed_reward_stops_the_step_with_sample_and_traceback():
    error = json.dumps({"cause": "ZeroDivisionError: x", "sample": {"uid": "r1", "reply": "hm"}, "traceback": "tb\n"})
    with pytest.raises(RolloutError, match=r"(?s)failed on 1 of 2 replies.*ZeroDivisionError.*r1.*No update was made"):
        refuse_errors(["", error])
    refuse_errors(["", ""])


def test_missing_replies_stop_the_step():
    refuse_missing({"a": 8, "b": 8}, 2, 8)
    with pytest.raises(RolloutError, match="0 of 2 prompts have no reply at all and 1 have fewer than 8"):
        refuse_missing({"a": 8, "b": 7}, 2, 8)
    with pytest.raises(RolloutError, match="1 of 2 prompts"):
        refuse_missing({"a": 8}, 2, 8)
