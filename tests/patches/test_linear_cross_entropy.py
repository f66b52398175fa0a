import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mindgpt_patches import PatchRefused
from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy, compute_linear_log_probs
from mindgpt_patches.projection import add_products, get_plain_head


def data(rows=13, width=6, words=11, dtype=torch.float64, ignored=0.3, seed=0):
    torch.manual_seed(seed)
    hidden = torch.randn(rows, width, dtype=dtype).requires_grad_()
    weight = torch.randn(words, width, dtype=dtype).requires_grad_()
    bias = torch.randn(words, dtype=dtype).requires_grad_()
    labels = torch.randint(0, words, (rows,))
    labels[torch.rand(rows) < ignored] = -100
    return hidden, weight, bias, labels


def plain(hidden, weight, bias, labels, weights):
    """Σ w·ce through all logits, in float64."""
    logits = F.linear(hidden.double(), weight.double(), None if bias is None else bias.double())
    return (F.cross_entropy(logits, labels, reduction="none", ignore_index=-100) * weights).sum()


def gradients(value, *tensors):
    return torch.autograd.grad(value, tensors)


@pytest.mark.parametrize("chunk", [1, 200, 10**6])  # one row, two rows, everything at once
@pytest.mark.parametrize("with_bias", [True, False])
def test_loss_and_gradients_equal_cross_entropy(chunk, with_bias):
    hidden, weight, bias, labels = data()
    bias = bias if with_bias else None
    weights = torch.rand(13, dtype=torch.float64) * 3
    wanted = [t for t in (hidden, weight, bias) if t is not None]
    want = plain(hidden, weight, bias, labels, weights)
    got = compute_linear_cross_entropy(hidden, weight, labels, token_weights=weights, bias=bias, chunk_bytes=chunk).loss
    assert got.item() == pytest.approx(want.item(), rel=1e-13)
    for a, b in zip(gradients(got * 0.7, *wanted), gradients(want * 0.7, *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_gradcheck():
    hidden, weight, bias, labels = data(5, 3, 4)
    weights = torch.tensor([0.5, 2.0, 0.0, 1.0, -1.0], dtype=torch.float64)
    loss = lambda h, w, b: (  # noqa: E731
        compute_linear_cross_entropy(h, w, labels, token_weights=weights, bias=b, chunk_bytes=64).loss
    )
    both = lambda h, w, b: compute_linear_log_probs(  # noqa: E731
        h, w, labels, bias=b, temperature=0.7, return_entropy=True, chunk_bytes=64
    )
    one = lambda h, w, b: compute_linear_log_probs(h, w, labels, bias=b, temperature=1.3, chunk_bytes=64)[0]  # noqa: E731
    for function in (loss, both, one):
        assert torch.autograd.gradcheck(function, (hidden, weight, bias))


@given(
    rows=st.integers(0, 9),
    width=st.integers(1, 7),
    words=st.integers(1, 12),
    ignored=st.sampled_from([0.0, 0.5, 1.0]),
    chunk=st.integers(1, 2000),
)
@settings(max_examples=60)
def test_any_shape(rows, width, words, ignored, chunk):
    hidden, weight, _, labels = data(rows, width, words, ignored=ignored, seed=rows + 10 * words)
    got = compute_linear_cross_entropy(hidden, weight, labels, chunk_bytes=chunk)
    want = plain(hidden, weight, None, labels, 1.0)
    torch.testing.assert_close(got.loss, want)
    for a, b in zip(gradients(got.loss, hidden, weight), gradients(want, hidden, weight), strict=True):
        torch.testing.assert_close(a, b)
    log_probs, entropy = compute_linear_log_probs(hidden, weight, labels, return_entropy=True, chunk_bytes=chunk)
    torch.testing.assert_close(log_probs, -got.nll)
    log_p = torch.log_softmax(hidden @ weight.t(), -1)
    kept = labels != -100
    torch.testing.assert_close(entropy[kept], -(log_p.exp() * log_p).sum(-1)[kept])
    assert not log_probs[~kept].any() and not entropy[~kept].any()


def test_sums_per_source():
    hidden, weight, _, labels = data()
    weights, ids = torch.rand(13), torch.arange(13) % 3
    got = compute_linear_cross_entropy(hidden, weight, labels, token_weights=weights, source_ids=ids, num_sources=4)
    for source in range(4):
        mine = (ids == source) & (labels != -100)
        want = [(weights * got.nll)[mine].sum(), got.nll[mine].sum(), mine.sum()]
        assert got.sums[source].tolist() == pytest.approx([float(x) for x in want])
    assert float(got.sums[:, 0].sum()) == pytest.approx(got.loss.item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_inputs_with_float32_between(dtype):
    hidden, weight, _, labels = data(64, 32, 50, dtype=torch.float32)
    h16, w16 = (t.detach().to(dtype).requires_grad_() for t in (hidden, weight))
    weights = torch.full((64,), 1e-6)  # 1/N of a long batch: gradients of this size do not exist in fp16
    scale = 2.0**20  # what a gradient scaler does about that
    want = gradients(plain(h16, w16, None, labels, weights) * scale, h16, w16)
    got = compute_linear_cross_entropy(h16, w16, labels, token_weights=weights, chunk_bytes=1500)
    assert got.loss.dtype == torch.float32
    for a, b in zip(gradients(got.loss * scale, h16, w16), want, strict=True):
        assert a.dtype == dtype
        assert (a.double() - b.double()).norm() / b.double().norm() < (2e-2 if dtype == torch.bfloat16 else 3e-3)


def test_many_chunks_do_not_lose_precision_in_dw():
    hidden, weight, _, labels = data(2048, 8, 16, dtype=torch.bfloat16, ignored=0)
    want = gradients(plain(hidden, weight, None, labels, 1.0), weight)[0].double()
    errors = {}
    for chunks in (1, 128):
        loss = compute_linear_cross_entropy(hidden, weight, labels, chunk_bytes=2048 // chunks * 16 * 6).loss
        errors[chunks] = float((gradients(loss, weight)[0].double() - want).norm() / want.norm())
    assert errors[128] < 1.5 * errors[1] < 1e-2


def test_short_products_in_16_bits_are_summed_wide():
    torch.manual_seed(0)
    left, right = torch.randn(40, 30).bfloat16(), torch.randn(40, 7).bfloat16()
    total = torch.ones(30, 7)
    add_products(total, left, right, block=8)
    torch.testing.assert_close(total, 1 + left.float().t() @ right.float(), rtol=1e-2, atol=5e-2)


def test_under_autocast_a_float32_head_is_multiplied_in_bfloat16():
    hidden, weight, _, labels = data(32, 16, 20, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        want = F.cross_entropy(F.linear(hidden, weight).float(), labels, reduction="sum")
        got = compute_linear_cross_entropy(hidden, weight, labels).loss
    assert got.item() == pytest.approx(want.item(), rel=1e-6)
    d_hidden, d_weight = gradients(got, hidden, weight)
    assert d_hidden.dtype == d_weight.dtype == torch.float32
    with pytest.raises(ValueError, match="convert one"):
        compute_linear_cross_entropy(hidden.bfloat16(), weight, labels)


def test_all_ignored_and_empty():
    for rows in (4, 0):
        hidden, weight, bias, labels = data(rows, ignored=1.0)
        got = compute_linear_cross_entropy(hidden, weight, labels, bias=bias, source_ids=labels * 0, num_sources=1)
        assert got.loss.item() == 0 and got.sums.tolist() == [[0, 0, 0]]
        assert all(not g.any() for g in gradients(got.loss, hidden, weight, bias))


def test_ignored_rows_may_hold_anything():
    hidden, weight, _, labels = data()
    poisoned = hidden.detach().clone()
    poisoned[labels == -100] = torch.nan
    got = compute_linear_cross_entropy(poisoned.requires_grad_(), weight, labels).loss
    d_hidden, d_weight = gradients(got, poisoned, weight)
    assert got.isfinite() and d_weight.isfinite().all() and not d_hidden[labels == -100].any()


def test_huge_logits():
    hidden, weight, _, labels = data(dtype=torch.float32)
    got = compute_linear_cross_entropy(hidden * 1e4, weight, labels).loss
    assert got.item() == pytest.approx(plain(hidden * 1e4, weight, None, labels, 1.0).item(), rel=1e-5)
    assert all(g.isfinite().all() for g in gradients(got, hidden, weight))
    log_probs, entropy = compute_linear_log_probs(hidden * 1e4, weight, labels, return_entropy=True)
    assert log_probs.isfinite().all() and entropy.isfinite().all()
    assert all(g.isfinite().all() for g in gradients(log_probs.sum() + entropy.sum(), hidden, weight))


def test_batches_and_tensors_that_are_not_contiguous():
    torch.manual_seed(0)
    whole = torch.randn(2, 6, 9, dtype=torch.float64)
    weight = torch.randn(5, 11, dtype=torch.float64).t().requires_grad_()  # (11, 5)
    labels = torch.randint(0, 11, (2, 9))
    one, other = (whole.clone().requires_grad_() for _ in "ab")
    hidden = one.transpose(1, 2)[:, :-1, 1:]  # (2, 8, 5), as a shifted batch is cut
    got = compute_linear_cross_entropy(hidden, weight, labels[:, 1:])
    assert got.nll.shape == (2, 8)
    want = F.cross_entropy((other.transpose(1, 2)[:, :-1, 1:] @ weight.t()).flatten(0, 1), labels[:, 1:].flatten())
    torch.testing.assert_close(got.loss / 16, want)
    torch.testing.assert_close(gradients(got.loss / 16, one)[0], gradients(want, other)[0])


def test_only_what_is_trained_gets_a_gradient():
    hidden, weight, _, labels = data()
    assert not compute_linear_cross_entropy(hidden.detach(), weight.detach(), labels).loss.requires_grad
    loss = compute_linear_cross_entropy(hidden, weight.detach(), labels).loss  # a frozen head, as with LoRA elsewhere
    torch.testing.assert_close(
        gradients(loss, hidden)[0], gradients(plain(hidden, weight, None, labels, 1.0), hidden)[0]
    )
    with torch.no_grad():
        assert not compute_linear_cross_entropy(hidden, weight, labels).loss.requires_grad


def test_a_kept_graph_gives_the_same_gradient_twice():
    hidden, weight, _, labels = data()
    loss = compute_linear_cross_entropy(hidden, weight, labels).loss * 3.0
    first = torch.autograd.grad(loss, weight, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(loss, weight)[0], first)


def test_a_second_derivative_is_refused():
    hidden, weight, _, labels = data()
    for value in (
        compute_linear_cross_entropy(hidden, weight, labels).loss,
        compute_linear_log_probs(hidden, weight, labels)[0].sum(),
    ):
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(value, hidden, create_graph=True)


def test_what_does_not_fit_is_refused():
    hidden, weight, bias, labels = data()
    with pytest.raises(ValueError, match="do not fit"):
        compute_linear_cross_entropy(hidden[1:], weight, labels)
    with pytest.raises(ValueError, match="bias"):
        compute_linear_cross_entropy(hidden, weight, labels, bias=bias[1:])
    with pytest.raises(ValueError, match="the vocabulary has 11"):
        compute_linear_cross_entropy(hidden, weight, labels.clamp(min=0) + 5)
    with pytest.raises(ValueError, match="integers"):
        compute_linear_cross_entropy(hidden, weight, labels.float())
    with pytest.raises(ValueError, match="no gradient"):
        compute_linear_cross_entropy(hidden, weight, labels, token_weights=torch.ones(13).requires_grad_())
    with pytest.raises(ValueError, match="positive"):
        compute_linear_log_probs(hidden, weight, labels, temperature=0.0)


def test_heads_that_are_more_than_a_matrix_are_refused():
    class Linear(torch.nn.Module):  # importing peft takes seconds; the trainer's slow tests have the real one
        __module__ = "peft.tuners.lora.layer"

    head = torch.nn.Linear(4, 6)
    assert get_plain_head(head) == (head.weight, head.bias)
    with pytest.raises(PatchRefused, match="adapter"):
        get_plain_head(Linear())
    with pytest.raises(PatchRefused, match="no output embeddings"):
        get_plain_head(None)
    hidden, weight, _, labels = data()
    weight = weight.detach()
    weight.ds_id = 3  # as DeepSpeed ZeRO-3 marks its parameters
    with pytest.raises(PatchRefused, match="ZeRO-3"):
        compute_linear_cross_entropy(hidden, weight, labels)


def test_a_sharded_head_is_refused(tmp_path):
    import torch.distributed as dist
    from torch.distributed.tensor import DeviceMesh, Shard, distribute_tensor

    hidden, weight, _, labels = data()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        sharded = distribute_tensor(weight.detach(), DeviceMesh("cpu", [0]), [Shard(0)])
        with pytest.raises(PatchRefused, match="tensor-parallel"):
            compute_linear_cross_entropy(hidden, sharded, labels)
    finally:
        dist.destroy_process_group()
