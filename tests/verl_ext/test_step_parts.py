"""What decides about a step without the host: whole groups, rows of an update, group sizes, modes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.verl_ext.settings import VerlSettingsError, load_verl_settings
from mindgpt_plugins.verl_ext.step.group_size import choose_group_size
from mindgpt_plugins.verl_ext.step.hybrid import RolloutError
from mindgpt_plugins.verl_ext.step.keys import find_final_rows, split_key
from mindgpt_plugins.verl_ext.step.mini_batches import compute_row_multiple, mark_rows_without_loss, split_update_rows
from mindgpt_plugins.verl_ext.step.siblings import (
    Drawn,
    Sibling,
    compute_version_figures,
    refuse_equal_siblings,
    refuse_incomplete_groups,
)
from mindgpt_plugins.verl_ext.takeover import check_verl_config


def test_the_last_trajectory_of_a_session_counts():
    assert split_key("s3p00001_2_0") == ("s3p00001", 2, 0)
    keys = ["b_0_0", "a_1_1", "a_0_0", "a_1_0"]
    assert find_final_rows(keys, [0, 1, 2, 3]) == {("a", 0): 2, ("a", 1): 1, ("b", 0): 0}


def group(name: str, found: int, asked: int, submitted: int = 1) -> list[Sibling]:
    return [Sibling(name, session, asked, submitted) for session in range(found)]


def test_whole_groups_of_different_sizes_pass():
    refuse_incomplete_groups(group("a", 4, 4) + group("b", 16, 16), 2)


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        (group("a", 4, 4), "1 of 2 prompts have no reply at all and 0 lack"),
        (group("a", 4, 4) + group("b", 4, 16), "1 lack replies.*'b': '4 of 16'.*Error in _run_prompt"),
        (group("a", 4, 4) + group("b", 5, 4), "b has 5 replies of 4.*left over"),
        (group("a", 4, 4) + group("b", 2, 4) + group("b", 4, 4, 2)[2:], r"b has 4 .*submitted in steps \[1, 2\]"),
        ([], "2 of 2 prompts have no reply"),
    ],
)
def test_groups_that_are_not_whole_stop_the_step(replies: list[Sibling], message: str):
    with pytest.raises(RolloutError, match=message):
        refuse_incomplete_groups(replies, 2)


def drawn(*replies: tuple[int, ...], group: str = "a", log_prob: float = -5.0) -> list[Drawn]:
    return [Drawn(group, tokens, log_prob) for tokens in replies]


def test_replies_that_share_their_random_numbers_stop_the_step():
    same = drawn(*[(1, 2)] * 4) + drawn(*[(3,)] * 4, group="b")
    with pytest.raises(RolloutError, match=r"each of 2 groups are equal.*once in 1e13 steps.*mindgpt_single_turn"):
        refuse_equal_siblings(same)


def test_one_reply_that_differs_a_certain_policy_and_groups_of_one_pass():
    refuse_equal_siblings(drawn(*[(1, 2)] * 4) + drawn((3,), (3,), (4,), (3,), group="b"))
    refuse_equal_siblings(drawn(*[(1, 2)] * 8, log_prob=-1e-3))
    refuse_equal_siblings(drawn((1, 2), log_prob=-50.0) + drawn((3,), group="b", log_prob=-50.0))
    refuse_equal_siblings([])


def test_ages_of_the_weights():
    tags = [{"min_global_steps": 3, "max_global_steps": 4}, {"min_global_steps": 4, "max_global_steps": 4}]
    assert compute_version_figures(tags, 5) == {
        "reply/weight_versions/mean": 1.5,
        "reply/weight_versions/max": 2.0,
        "reply/steps_behind/mean": 0.5,
        "reply/steps_behind/max": 1.0,
    }


@given(workers=st.integers(1, 4), updates=st.integers(1, 4), per=st.integers(1, 5))
def test_updates_share_out_all_rows(workers: int, updates: int, per: int):
    rows = workers * updates * per
    parts = split_update_rows(rows, workers, updates)
    assert sorted(i for part in parts for i in part) == list(range(rows))
    assert {len(part) for part in parts} == {workers * per}
    # A worker holds a run of rows and takes its first ones into the first update.
    assert parts[0][:per] == list(range(per))


def test_an_update_is_never_emptied():
    updates = [[0, 1], [2, 3]]
    assert mark_rows_without_loss([True, False, True, True], [False] * 4, updates) == [True, False, False, False]
    assert mark_rows_without_loss([True, True, True, False], [False, False, False, True], updates) == [False] * 4
    assert mark_rows_without_loss([True, True, False, False], [False] * 4, [[0, 1, 2, 3]]) == [True, True, False, False]


def test_rows_come_out_even():
    assert compute_row_multiple(2, 1, [8, 12]) == 48
    assert compute_row_multiple(2, 3, []) == 6


def test_sizes_follow_the_highest_threshold_reached():
    by = {0.5: 12, 0.8: 16}
    assert [choose_group_size(d, 4, by) for d in (0.0, 0.49, 0.5, 0.79, 0.8, 3.0)] == [4, 4, 12, 12, 16, 16]
    assert choose_group_size(0.9, 4, {}) == 4


def host(**changes):
    config = OmegaConf.create(
        {
            "algorithm": {"adv_estimator": "grpo", "use_kl_in_reward": False},
            "reward": {"reward_model": {"enable": False}, "custom_reward_function": {"path": None}},
            "trainer": {"device": "cuda", "v1": {"trainer_mode": "mindgpt_sync", "sampler": {}}},
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


@pytest.mark.parametrize(
    ("mode", "changes", "message"),
    [
        ("sync", {"algorithm__adv_estimator": "gae"}, "mindgpt_sync: algorithm.adv_estimator=gae.*set .*=grpo"),
        ("sync", {"algorithm__use_kl_in_reward": True}, "use actor.use_kl_loss=true"),
        ("colocate_async", {"trainer__v1__sampler__sync_refill_failed_groups": True}, "a failed group stops the run"),
        ("sync", {"reward__custom_reward_function__path": "mine.py"}, "would bypass the settings' rewards"),
        ("sync", {"reward__reward_model": {"enable": True, "enable_resource_pool": False}}, "colocated reward model"),
        ("separate_async", {"trainer__device": "cpu"}, "none of which exists on CPU; use mode sync or colocate_async"),
    ],
)
def test_what_would_bypass_us_is_refused(mode, changes: dict, message: str):
    check_verl_config(host(), mode)
    with pytest.raises(VerlSettingsError, match=message):
        check_verl_config(host(**changes), mode)


@pytest.mark.parametrize("mode", ["sync", "colocate_async", "separate_async"])
def test_settings_are_found_under_the_mode_before_and_after_it_is_renamed(mode: str):
    config = host(trainer__v1__trainer_mode=f"mindgpt_{mode}")
    with pytest.raises(
        VerlSettingsError, match=rf"mindgpt_{mode} needs rewards: pass \+trainer.v1.mindgpt_{mode}.settings"
    ):
        load_verl_settings(config)
    OmegaConf.update(config, f"trainer.v1.mindgpt_{mode}.settings", {"rewards": {"format": {}}}, force_add=True)
    assert list(load_verl_settings(config).rewards) == ["format"]
    config.trainer.v1.trainer_mode = mode
    assert list(load_verl_settings(config).rewards) == ["format"]


def test_group_sizes_are_checked_by_the_schema():
    base = {"kind": "rl", "model": "m", "train": "d/x", "steps": 1}
    config = RLConfig.model_validate(base | {"group_size_by_difficulty": {"0.5": 12, 1: 16}})
    assert config.group_size_by_difficulty == {0.5: 12, 1.0: 16}
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        RLConfig.model_validate(base | {"group_size_by_difficulty": {0.5: 0}})
