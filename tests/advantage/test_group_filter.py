import pytest
import torch

from mindgpt_plugins.advantage.config import GroupFilterConfig
from mindgpt_plugins.advantage.filter import draw_number, find_dropped_groups
from mindgpt_plugins.advantage.layout import GroupLayout

ADVANTAGE = torch.tensor([[0.5, -0.5], [1e-7, -1e-7], [0.1, -0.1], [0.1, -0.1]])
CORRECT = torch.tensor([[True, False], [False, False], [True, True], [True, False]])
MASK = torch.tensor([[True, True], [True, True], [True, True], [True, False]])
"""The last two groups are all correct; one of them lacks a reply."""


def prompt_with(number: float) -> tuple[int, str]:
    """Step and prompt whose draw is close to a number."""
    return next((1, f"p{i}") for i in range(10_000) if abs(draw_number(1, f"p{i}") - number) < 0.01)


def dropped(draws: list[float], keep: float = 0.25, epsilon: float = 1e-6, modulators: bool = True) -> list[bool]:
    prompts = [prompt_with(number) for number in draws]
    config = GroupFilterConfig(epsilon=epsilon, keep_all_correct=keep)
    return find_dropped_groups(config, ADVANTAGE, CORRECT, MASK, prompts, modulators=modulators).tolist()


def test_no_signal_and_all_correct_groups_that_are_not_drawn_go():
    assert dropped([0.9, 0.0, 0.2, 0.3]) == [False, True, False, True]
    assert dropped([0.9] * 4, keep=1.0) == [False, True, False, False]
    assert dropped([0.0] * 4, keep=0.0) == [False, True, True, True]
    assert dropped([0.9] * 4, keep=0.0, modulators=False) == [False, True, False, False]


def test_a_step_is_never_empty():
    assert dropped([0.9] * 4, epsilon=1.0) == [False] * 4


def test_draws_depend_on_step_and_prompt_and_are_uniform():
    values = [draw_number(step, f"p{i}") for step in range(20) for i in range(500)]
    assert draw_number(3, "p7") == draw_number(3, "p7") == values[3 * 500 + 7]
    assert len(set(values)) == len(values)
    assert sum(v < 0.25 for v in values) / len(values) == pytest.approx(0.25, abs=0.02)


def test_layout_there_and_back():
    layout = GroupLayout.of(["b", "a", "b", "c", "b"])
    flat = [1.0, 2.0, 3.0, 4.0, 5.0]
    spread = layout.spread(flat)
    assert spread.tolist() == [[1, 3, 5], [2, 0, 0], [4, 0, 0]]
    assert layout.mask.tolist() == [[True] * 3, [True, False, False], [True, False, False]]
    assert layout.flat(spread) == flat
    assert layout.flat(torch.tensor([7.0, 8.0, 9.0])) == [7, 8, 7, 9, 7]
