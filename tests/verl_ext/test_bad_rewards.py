"""Bad input to the reward worker: what it does reaches the trainer as one error, never as a score."""

import asyncio
import json
import math

import pytest
import torch
from omegaconf import OmegaConf

pytest.importorskip("verl.experimental.reward_loop.reward_manager.base")

from mindgpt_plugins.core.registry import RegistryError  # noqa: E402
from mindgpt_plugins.rewards.sdk import RewardError, Rollout, reward  # noqa: E402
from mindgpt_plugins.verl_ext.reward import MindGPTRewardManager  # noqa: E402
from mindgpt_plugins.verl_ext.step.hybrid import RolloutError, refuse_errors  # noqa: E402
from mindgpt_plugins.verl_ext.step.reward_fields import ERROR, LOG, PID, PREFIX  # noqa: E402


class Words:
    """A tokenizer: token 0 ends."""

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return " ".join(f"w{i}" for i in ids if i)


class Item:
    def __init__(self, tokens: list[int], **fields):
        response = torch.tensor(tokens + [0] * (6 - len(tokens)))
        mask = torch.tensor([1] * (4 + len(tokens)) + [0] * (6 - len(tokens)))
        self.batch = {"responses": response, "attention_mask": mask}
        self.non_tensor_batch = {
            "extra_info": {"uid": "u7", "type": "verifiable"}, "reward_model": {"ground_truth": "x"},
            "data_source": "s", "global_steps": 1,
        } | fields  # fmt: skip


def manager(rewards: dict) -> MindGPTRewardManager:
    settings = {"rewards": rewards}
    host = {
        "trainer": {"total_training_steps": 2, "v1": {"trainer_mode": "sync", "mindgpt_sync": {"settings": settings}}}
    }
    return MindGPTRewardManager(OmegaConf.create(host), Words())


def run(rewards: dict, item: Item) -> dict:
    class Rows:
        def __getitem__(self, _):
            return [item]

    return asyncio.run(manager(rewards).run_single(Rows()))["reward_extra_info"]


def cause(info: dict) -> str:
    return json.loads(info[ERROR])["cause"] if info[ERROR] else ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        ("0.5", "'0.5'"),
        ([1.0], r"\[1.0\]"),
        (2.0, "returned 2; a task must return a number from 0 to 1"),
        (True, ""),
    ],
)
def test_an_unusable_score_stops_the_run_and_names_the_sample(value, said: str):
    @reward(name="odd")
    def odd(r: Rollout) -> float:
        return value

    info = run({"odd": {}}, Item([3, 4]))
    if not said:
        assert info[ERROR] == ""
        return
    with pytest.raises(RolloutError, match=rf"(?s)failed on 1 of 2 replies.*'odd'.*{said}.*\"uid\": \"u7\".*No update"):
        refuse_errors(["", info[ERROR]])
    assert info["score"] == 0.0


def test_a_raising_reward_says_where():
    @reward(name="broken")
    def broken(r: Rollout) -> float:
        raise KeyError("boxes")

    info = run({"broken": {}}, Item([3]))
    assert "raised KeyError: 'boxes'" in cause(info)
    assert "test_bad_rewards.py" in json.loads(info[ERROR])["traceback"]


def test_rows_of_different_sources_give_the_same_keys():
    @reward(name="left")
    def left(r: Rollout) -> float | None:
        return 1.0 if r.source == "a" else None

    @reward(name="right")
    def right(r: Rollout) -> float | None:
        return 0.0 if r.source == "b" else None

    infos = [run({"left": {}, "right": {}}, Item([3], data_source=name)) for name in ("a", "b")]
    assert [set(info) for info in infos] == [{"score", "acc", ERROR, LOG, PID, PREFIX + "left", PREFIX + "right"}] * 2
    assert [info["score"] for info in infos] == [1.0, 0.0]
    assert math.isnan(infos[0][PREFIX + "right"])
    assert math.isnan(infos[1][PREFIX + "left"])


def test_a_missing_extra_info_is_no_crash():
    @reward(name="length")
    def length(r: Rollout) -> float:
        return r.length / 10

    assert run({"length": {}}, Item([1, 2, 3], extra_info=None))["score"] == pytest.approx(0.3)


def test_an_empty_reply_is_scored():
    info = run({"accuracy": {}, "format": {}}, Item([]))
    assert info[ERROR] == ""
    assert info["score"] == 0.0


def test_nobody_scores_the_sample():
    info = run({"accuracy": {}}, Item([3], extra_info={"uid": "u7", "type": "open"}))
    assert "no task reward scored sample 'u7' of type 'open'" in cause(info)


def test_a_weight_for_a_reward_that_is_not_there():
    with pytest.raises(RegistryError, match="did you mean 'accuracy'"):
        manager({"acuracy": {"weight": 1.0}})
    with pytest.raises(RewardError, match="no task reward with a positive weight"):
        manager({"accuracy": {"weight": 0.0}})


JUDGED = {"uid": "u7", "type": "open", "question": "why?"}


def judged(url: str, folder) -> dict:
    return {
        "judge": {"options": {"endpoints": [{"base_url": url, "model": "m"}], "store": str(folder / "judge.sqlite")}}
    }


def test_a_judge_that_was_never_up_stops_the_run_with_what_to_do(tmp_path):
    info = run(judged("http://127.0.0.1:9/v1", tmp_path), Item([3, 4], extra_info=JUDGED))
    with pytest.raises(RolloutError, match=r"(?s)m at http://127.0.0.1:9.*check the server.*from the last checkpoint"):
        refuse_errors([info[ERROR]])
