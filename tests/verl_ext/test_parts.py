"""The small host-free parts of the verl side."""

import pytest
import torch

from mindgpt_plugins.verl_ext.seeded_choice import SeededChoice
from mindgpt_plugins.verl_ext.settings import (
    VerlSettings,
    VerlSettingsError,
    parse_verl_settings,
    read_settings_file,
    write_settings_file,
)
from mindgpt_plugins.verl_ext.step.rows import describe_odd_answers, make_rollout_from_verl
from mindgpt_plugins.verl_ext.step.seeds import derive_sample_seed

NOTHING = torch.tensor([], dtype=torch.long)


def test_seeds_differ_by_everything_that_identifies_a_reply():
    base = (0, 3, 1, 7)
    others = [(1, 3, 1, 7), (0, 4, 1, 7), (0, 3, 2, 7), (0, 3, 1, 8)]
    assert derive_sample_seed(*base) == derive_sample_seed(*base)
    assert len({derive_sample_seed(*args) for args in [base, *others]}) == 5
    assert 0 <= derive_sample_seed(*base) < 2**63


def choose(logits: torch.Tensor, seeds: list[int], steps: int = 1, banned: torch.Tensor = NOTHING, **options) -> list:
    settings = {"temperature": 1.0, "top_k": -1, "top_p": 1.0} | options
    choice = SeededChoice(seeds, banned=banned, **settings)
    return [choice(torch.zeros(1), logits).argmax(-1).tolist() for _ in range(steps)]


def test_a_row_does_not_depend_on_its_neighbours():
    logits = torch.randn(4, 50)
    together = choose(logits, [1, 2, 3, 4], steps=5)
    alone = choose(logits[2:3], [3], steps=5)
    assert [step[2] for step in together] == [step[0] for step in alone]


def test_samples_follow_the_distribution():
    probabilities = torch.tensor([0.1, 0.2, 0.7])
    rows = 4000
    chosen = torch.tensor(choose(probabilities.log().expand(rows, 3), list(range(rows)))[0])
    assert torch.allclose(torch.bincount(chosen, minlength=3) / rows, probabilities, atol=0.03)


def test_top_k_top_p_bans_and_greedy():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]]).expand(200, 4)
    seeds = list(range(200))
    assert set(choose(logits, seeds, top_k=2)[0]) == {0, 1}
    assert set(choose(logits, seeds, top_p=0.5)[0]) == {0}
    assert 0 not in choose(logits, seeds, banned=torch.tensor([0]))[0]
    assert set(choose(logits, seeds, temperature=0.0)[0]) == {0}


def test_log_probs_are_those_at_the_sampling_temperature():
    logits = torch.randn(2, 10)
    choice = SeededChoice([0, 1], temperature=0.5, top_k=-1, top_p=1.0, banned=torch.tensor([4]))
    picked = choice(torch.zeros(1), logits).argmax(-1)
    masked = logits.clone()
    masked[:, 4] = -torch.inf
    want = (masked / 0.5).log_softmax(-1).gather(1, picked[:, None]).squeeze(1)
    assert torch.allclose(torch.tensor(choice.log_probs()).squeeze(1), want)


def test_rows_become_rollouts():
    extra = {"uid": "u", "answer_type": "number", "difficulty": 0.5, "capability": "perception.count", "question": "?"}
    row = {"extra_info": extra, "reward_model": {"ground_truth": "2"}, "data_source": "domain"}
    rollout = make_rollout_from_verl(row, "answer: 2", [1, 2, 3], 3, 5)
    assert (rollout.length, rollout.target, rollout.source, rollout.progress) == (3, "2", "domain", 0.5)
    assert rollout.labels == {"capability": "perception.count"}
    bare = make_rollout_from_verl({"extra_info": {"index": 4}, "reward_model": {"ground_truth": "2"}}, "x", [1], 1, 1)
    assert (bare.uid, bare.answer_type, bare.type) == ("4", "text", "verifiable")


def test_the_trainer_says_how_many_answers_are_read_as_what():
    def row(gold, **extra):
        return {"extra_info": extra or None, "reward_model": {"style": "rule", "ground_truth": gold}}

    typed = {"answer_type": "number"}
    rows = [row("3"), row("5.0"), row(6.0, answer_type="text"), row(7.0, **typed), row("x", answer_type=None)]
    judged = [row("", type="open"), {"extra_info": {}, "reward_model": {"style": "model", "ground_truth": "4.0"}}]
    assert describe_odd_answers(rows + judged) == [
        "3 of 7 rows have no extra_info.answer_type: their answers are compared as text",
        "2 of 7 gold answers are floats of whole numbers (5.0): compared as the number",
    ]
    assert describe_odd_answers([row("3", **typed)] + judged) == []


def test_settings_survive_writing(tmp_path):
    settings = parse_verl_settings(
        {"rewards": {"accuracy": {}}, "advantage": {"lambda": {"kind": "cosine", "start": 1, "end": 0}}}, "x"
    )
    write_settings_file(settings, tmp_path / "s.json")
    assert read_settings_file(tmp_path / "s.json") == settings


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"reward": {}}, "reward: unknown key 'reward'; did you mean 'rewards'"),
        ({"rewards": {"accuracy": {"wight": 1}}}, "rewards.accuracy.wight: unknown key 'wight'; did you mean 'weight'"),
        ([1], "expected a mapping"),
    ],
)
def test_bad_settings_say_where(data: object, message: str):
    with pytest.raises(VerlSettingsError, match=f"file.yaml: .*{message}" if isinstance(data, dict) else message):
        parse_verl_settings(data, "file.yaml")


def test_missing_settings_file(tmp_path):
    with pytest.raises(VerlSettingsError, match="is not a file; give an absolute path"):
        read_settings_file(tmp_path / "none.yaml")


def test_defaults_are_the_documented_ones():
    settings = VerlSettings.model_validate({"rewards": {"accuracy": {}}})
    assert (settings.advantage.name, settings.advantage.k, settings.curriculum) == ("modulated", 4, None)
