import pytest
import torch

from mindgpt_plugins.core.registry import check_options, get_registered
from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.losses.kl_anchor import KLAnchor
from mindgpt_plugins.losses.weighted_ce import WeightedCE

NAMES = ("general", "domain")


def batch(rows=6, length=9, vocabulary=11, seed=0):
    torch.manual_seed(seed)
    logits = torch.randn(rows, length, vocabulary)
    labels = torch.randint(0, vocabulary, (rows, length))
    for row in range(rows):
        labels[row, : 1 + row] = -100  # prompts of different lengths
    return logits, labels, torch.arange(rows) % 2


def by_hand(logits, labels, source, weights, exponent):
    top, bottom = 0.0, 0.0
    for row in range(len(labels)):
        log_p = torch.log_softmax(logits[row, :-1].double(), -1)
        ce = [-log_p[t, y] for t, y in enumerate(labels[row, 1:].tolist()) if y != -100]
        top += weights[source[row]] * sum(ce) * len(ce) ** -exponent
        bottom += len(ce) ** (1 - exponent)
    return top / bottom


@pytest.mark.parametrize(("name", "exponent"), [("token", 0.0), ("sqrt", 0.5), ("sample", 1.0)])
def test_equals_the_formula(name, exponent):
    logits, labels, source = batch()
    loss = WeightedCE(NAMES, (0.5, 0.5), weights={"domain": 3.0}, length_weighting=name)
    got = loss(logits, labels, source, loss.normaliser(labels)).total
    assert got.item() == pytest.approx(by_hand(logits, labels, source, [0.5, 1.5], exponent).item(), rel=1e-6)


def test_without_weights_it_is_the_plain_mean():
    logits, labels, source = batch()
    loss = WeightedCE(NAMES, (0.25, 0.75))
    plain = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])
    assert loss(logits, labels, source, loss.normaliser(labels)).total.item() == pytest.approx(plain.item(), rel=1e-6)


@pytest.mark.parametrize("length_weighting", ["token", "sqrt", "sample"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_any_split_of_the_step_gives_the_same_gradient(length_weighting, size):
    logits, labels, source = batch()
    anchor = KLAnchor(NAMES, ["general"], 0.3)
    reference = torch.randn(logits.shape)
    loss = WeightedCE(NAMES, (0.5, 0.5), anchor, weights={"domain": 2.0}, length_weighting=length_weighting)
    whole = logits.clone().requires_grad_()
    loss(whole, labels, source, loss.normaliser(labels), reference).total.backward()
    parts = logits.clone().requires_grad_()
    pieces = [slice(i, i + size) for i in range(0, len(labels), size)]
    normaliser = sum(loss.normaliser(labels[p]) for p in pieces)
    for p in pieces:
        loss(parts[p], labels[p], source[p], normaliser, reference[p]).total.backward()
    assert torch.allclose(whole.grad, parts.grad, atol=1e-7)


def test_a_weight_still_acts_in_a_step_of_one_source():
    logits, labels, _ = batch()
    loss = WeightedCE(NAMES, (0.5, 0.5), weights={"domain": 3.0})
    n = loss.normaliser(labels)
    one = loss(logits, labels, torch.zeros(6, dtype=torch.long), n).total
    other = loss(logits, labels, torch.ones(6, dtype=torch.long), n).total
    assert other.item() == pytest.approx(3 * one.item(), rel=1e-6)


def test_kl_is_zero_at_the_reference_and_positive_elsewhere():
    logits, labels, source = batch()
    loss = WeightedCE(NAMES, (0.5, 0.5), KLAnchor(NAMES, ["general"], 0.5))
    n = loss.normaliser(labels)
    same = loss(logits, labels, source, n, logits.clone())
    assert same.sums[:, 2].tolist() == [0.0, 0.0]
    moved = loss(logits, labels, source, n, logits + torch.randn(logits.shape))
    assert moved.sums[0, 2] > 0
    assert moved.sums[1, 2] == 0  # only the anchored source
    assert moved.total > same.total


def test_sums_per_source():
    logits, labels, source = batch()
    loss = WeightedCE(NAMES, (0.5, 0.5))
    sums = loss(logits, labels, source, loss.normaliser(labels)).sums
    tokens = [(labels[source == k][:, 1:] != -100).sum().item() for k in (0, 1)]
    assert sums[:, 1].tolist() == tokens
    assert sums[:, 0].sum().item() / sum(tokens) == pytest.approx(
        torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:]).item(), rel=1e-6
    )


def test_a_step_without_targets_is_zero():
    logits, labels, source = batch()
    labels[:] = -100
    loss = WeightedCE(NAMES, (0.5, 0.5), length_weighting="sqrt")
    assert loss(logits.requires_grad_(), labels, source, loss.normaliser(labels)).total.item() == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"domain": -1}}, ">= 0"),
        ({"weights": {"domains": 1}}, "did you mean 'domain'"),
        ({"weights": {"domain": 0, "general": 0}}, "all weights are zero"),
        ({"length_weighting": "log"}, "log"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(CurriculumError, match=message):
        WeightedCE(NAMES, (0.5, 0.5), **options)


def test_bad_anchors_are_refused():
    with pytest.raises(CurriculumError, match="did you mean 'general'"):
        KLAnchor(NAMES, ["generall"], 0.1)
    with pytest.raises(CurriculumError, match="positive"):
        KLAnchor(NAMES, ["general"], 0.0)


def test_registered():
    assert get_registered("loss", "weighted_ce") is WeightedCE
    check_options("loss", "weighted_ce", ["weights", "length_weighting"])


def test_each_samples_own_loss_is_reported():
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 5, 7), torch.randint(0, 7, (3, 5))
    labels[0, :3] = -100
    labels[2] = -100
    one = WeightedCE(("a", "b"), (0.5, 0.5), weights={"a": 3.0})
    got = one(logits, labels, torch.tensor([0, 1, 0]), one.normaliser(labels)).samples
    mean = torch.nn.functional.cross_entropy
    want = [float(mean(logits[i, :-1], labels[i, 1:])) for i in (0, 1)]  # unweighted, ignoring -100
    assert got[:2].tolist() == pytest.approx(want)
    assert got[2].isnan()


@pytest.mark.parametrize("length_weighting", ["token", "sqrt", "sample"])
def test_straight_from_hidden_states_it_is_the_same(length_weighting):
    _, labels, source = batch()
    labels[2] = -100  # a sample without a target
    hidden, weight, bias = torch.randn(6, 9, 5), torch.randn(11, 5), torch.randn(11)
    loss = WeightedCE(NAMES, (0.5, 0.5), weights={"domain": 2.0}, length_weighting=length_weighting)
    one, other = ([t.clone().requires_grad_() for t in (hidden, weight, bias)] for _ in "ab")
    n = loss.normaliser(labels)
    plain = loss(one[0] @ one[1].t() + one[2], labels, source, n)
    linear = loss.linear(other[0], other[1], labels, source, n, other[2])
    torch.testing.assert_close(linear.total, plain.total, rtol=1e-6, atol=0)
    torch.testing.assert_close(linear.sums, plain.sums, rtol=1e-6, atol=0)
    torch.testing.assert_close(linear.samples, plain.samples, rtol=1e-6, atol=0, equal_nan=True)
    plain.total.backward()
    linear.total.backward()
    for a, b in zip(one, other, strict=True):
        assert (a.grad - b.grad).abs().max() <= 1e-6 * a.grad.abs().max()


def test_an_anchor_needs_logits():
    _, labels, source = batch()
    loss = WeightedCE(NAMES, (0.5, 0.5), KLAnchor(NAMES, ["general"], 0.5))
    with pytest.raises(CurriculumError, match="needs logits"):
        loss.linear(torch.randn(6, 9, 5), torch.randn(11, 5), labels, source, loss.normaliser(labels))
