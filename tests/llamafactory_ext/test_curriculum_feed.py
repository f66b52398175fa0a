"""How orders become batches and measurements come back, without training: accelerate's own shards, stand-in ranks."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard, DataLoaderShard, skip_first_batches
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader

from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples
from mindgpt_plugins.curriculum.dynamic import Dynamic
from mindgpt_plugins.curriculum.self_paced import SelfPaced
from mindgpt_plugins.curriculum.shuffled import Shuffled
from mindgpt_plugins.llamafactory_ext import checkpoints
from mindgpt_plugins.llamafactory_ext.columns import ROW
from mindgpt_plugins.llamafactory_ext.feedback import Feedback
from mindgpt_plugins.llamafactory_ext.ordering import Loader, build_section_sampler, start_sampler_clock
from mindgpt_plugins.llamafactory_ext.settings import parse_section


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_steps_are_dealt_as_accelerate_deals_them(rows: int, micro: int, accumulation: int, ranks: int) -> None:
    order = Shuffled(Examples([0] * rows, ("a",)), 0).order(0)
    batches = BatchSampler(order, micro, drop_last=False)
    shards = [list(BatchSamplerShard(batches, ranks, rank) if ranks > 1 else batches) for rank in range(ranks)]
    host = []
    for first in range(0, len(shards[0]), accumulation):
        host.append(sorted(p for shard in shards for batch in shard[first : first + accumulation] for p in batch))
    ours = [sorted(step) for step in Loader(micro, accumulation, ranks).steps(order)]
    assert ours == host
    assert len(ours) == Clock(micro * accumulation * ranks, rows, 1).steps_per_epoch


@pytest.mark.parametrize(("workers", "accumulation"), [(0, 1), (0, 4), (1, 1), (2, 1), (2, 3)])
def test_the_loader_fetches_as_far_ahead_as_we_say(workers: int, accumulation: int) -> None:
    loader, asked = Loader(2, accumulation, workers=workers), []

    def order():
        for position in range(400):
            asked.append(position)
            yield position

    made = DataLoaderShard(range(400), batch_sampler=BatchSampler(_Once(order()), 2, False), num_workers=workers)
    walk = iter(made)
    furthest = []
    for done in range(1, 12):
        for _ in range(accumulation):
            next(walk)
        steps_fetched = -(-len(asked) // loader.samples_per_step)
        furthest.append(steps_fetched - done)
    assert max(furthest) == loader.lead


class _Once:
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return self.items

    def __len__(self):
        return 400


def test_a_delay_shorter_than_the_lead_is_refused_before_training() -> None:
    examples = Examples([0, 1] * 20, ("a", "b"))
    sampler = Shuffled(examples, 0, Dynamic(("a", "b"), (20, 20), weights={"a": 1, "b": 1}, delay=4))
    start_sampler_clock(sampler, Loader(2, workers=1), Clock(2, 40, 40))
    with pytest.raises(CurriculumError, match="delay is 4 steps, but the data loader fetches 5 steps ahead"):
        start_sampler_clock(sampler, Loader(2, workers=2), Clock(2, 40, 40))


def test_resumed_in_mid_epoch_the_loader_goes_on_with_the_same_samples() -> None:
    sampler = Shuffled(Examples([0] * 37, ("a",)), 3)
    whole = DataLoader(range(37), batch_size=2, sampler=sampler)
    sampler.set_epoch(2)
    straight = [batch.tolist() for batch in whole]
    assert [batch.tolist() for batch in skip_first_batches(whole, 7)] == straight[7:]


class Rank(SimpleNamespace):
    """One process that sees the other ranks' objects as its own."""


def ear(sampler, tmp_path, ranks=1, rank=0) -> Feedback:
    accelerator = Rank(num_processes=ranks, process_index=rank, is_main_process=rank == 0)
    return Feedback(sampler, ("a", "b"), [], accelerator, tmp_path / "mixture.jsonl")


def dynamic(**options):
    sampler = Shuffled(
        Examples([0, 1] * 20, ("a", "b")), 0, Dynamic(("a", "b"), (20, 20), weights={"a": 1, "b": 1}, **options)
    )
    sampler.attach(Clock(4, 40, 40))
    return sampler


def sums(a: float, b: float, n: float = 2.0) -> torch.Tensor:
    return torch.tensor([[a * n, n, 0.0], [b * n, n, 0.0]], dtype=torch.float64)


def test_training_losses_reach_the_mixture_when_it_is_time(tmp_path) -> None:
    feedback = ear(sampler := dynamic(every=2, delay=3), tmp_path)
    for step, (a, b) in enumerate([(3, 1), (1, 1), (2, 1.05), (2, 1.05)], 1):
        feedback.observe(step, {}, sums(a, b), None)
        feedback.step_done(step)
    (line,) = [json.loads(line) for line in (tmp_path / "mixture.jsonl").read_text().splitlines()]
    assert (line["step"], line["from_step"]) == (4, 8)  # steps from 1, as in metrics.jsonl
    assert line["values"] == pytest.approx({"a": 2.0, "b": 1.05})
    assert line["reference"] == pytest.approx({"a": 2.0, "b": 1.0})
    assert sampler.mixture.shares_at(7) == [line["shares"]["a"], line["shares"]["b"]]
    assert line["shares"]["b"] > 0.5


def test_what_was_measured_survives_a_kill_on_any_number_of_ranks(tmp_path) -> None:
    first = ear(dynamic(every=4), tmp_path)
    first.observe(1, {}, sums(3, 1), None)
    state = json.loads(json.dumps(first.state_dict()))
    state["since_update"] *= 2  # as if two ranks had written it
    one, lead, other = ear(dynamic(every=4), tmp_path), *(ear(dynamic(every=4), tmp_path, 4, rank) for rank in (0, 1))
    for feedback in (one, lead, other):
        feedback.load_state_dict(state, done=1)
    assert one._since_update.tolist() == lead._since_update.tolist() == [[12.0, 4.0], [4.0, 4.0]]
    assert other._since_update.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert one.evaluated(1, {"eval_a_loss": 1.0}) is None


def test_each_samples_loss_reaches_the_sampler_before_the_next_epoch(tmp_path) -> None:
    sampler = SelfPaced(Examples([0, 1] * 4, ("a", "b")), 0, start=1e-9, pacing="linear")
    sampler.attach(Clock(2, 8, 12))
    feedback = ear(sampler, tmp_path)
    for step, position in enumerate(sampler, 1):
        feedback.observe(step, {ROW: torch.tensor([position])}, None, torch.tensor([float(position)]))
    feedback.epoch_begins()
    sampler.set_epoch(1)
    assert [p for p in sampler if p % 2 == 0] == [0, 2, 4, 6]
    with pytest.raises(CurriculumError, match="by: source"):
        feedback.observe(9, {}, None, None)


def test_evaluation_sets_that_do_not_exist_are_named(tmp_path) -> None:
    with pytest.raises(CurriculumError, match="measured on a, b, but the evaluation sets are: none"):
        ear(dynamic(signal="eval_loss"), tmp_path)


def test_a_mixture_by_dataset_groups_by_dataset() -> None:
    section = parse_section({"mixture": {"name": "fixed", "by": "dataset", "options": {"weights": {"x": 3, "y": 1}}}})
    sampler = build_section_sampler(section, ["s"] * 8, ["y", "x"] * 4, ("s",), difficulty=None, length=None, seed=0)
    order = sampler.order(0)
    assert sum(p % 2 for p in order) == 6  # x, three quarters


def test_a_checkpoint_of_fewer_ranks_is_whole(tmp_path) -> None:
    path = tmp_path / "checkpoint-5"
    path.mkdir()
    torch.save({}, path / "rng_state.pth")
    (path / "trainer_state.json").write_text('{"global_step": 5}')
    assert "rank 0 is missing" in checkpoints.find_checkpoint_problem(path, 2)
    (path / checkpoints.STATE).write_text('{"ranks": 1}')
    assert checkpoints.find_checkpoint_problem(path, 2) is None
    (path / checkpoints.STATE).write_text('{"ranks": 2}')
    assert "rank 0 is missing" in checkpoints.find_checkpoint_problem(path, 2)
