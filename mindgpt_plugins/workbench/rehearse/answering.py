"""What becomes of stages in which a model answers, and of those that make or transform one."""

from __future__ import annotations

from mindgpt_plugins.workbench.rehearse.draft import Draft

GOLD = (
    "that the model is right often enough to teach itself: random weights never are, so one reply of every prompt is "
    "the set's own answer here; generating, judging, choosing, exporting and resuming are the stage's own"
)
_ROWS, _TOKENS, _BATCH = 8, 8, 4


def evaluating(draft: Draft) -> None:
    """Few rows, short replies; a gate judges and is recorded, and does not stop."""
    _engine(draft)
    draft.set("rows", min(_ROWS, draft.get("rows") or _ROWS))
    if draft.get("samples") is not None:
        draft.most("samples.n", 2)
        draft.most("samples.rows", 1)
    if draft.get("gate") is not None:
        what = "the gate's verdict: weights are random, so it is recorded and does not stop the run"
        draft.set("gate.on_fail", "continue", "stand-in", what)
        draft.set("gate.extend", None, "stand-in", "training further after a failed gate")


def rejection_sampling(draft: Draft) -> None:
    """Two replies per prompt, one of them the set's own answer."""
    _engine(draft)
    draft.set("kind", "rehearsed_rejection_sampling", "stand-in", GOLD)
    draft.set("samples", 2)
    draft.set("rows", None)


def preference_pairs(draft: Draft) -> None:
    """Two replies per prompt, one of them the set's own answer."""
    _engine(draft)
    draft.set("kind", "rehearsed_preference_pairs", "stand-in", GOLD)
    draft.set("samples", 2)
    draft.set("blind_samples", 1)
    draft.set("pairs", None)


def interpolate(draft: Draft) -> None:
    """Two candidates on few rows."""
    if draft.get("choose") is not None:
        grid = draft.get("choose.grid")
        draft.set("choose.grid", sorted({grid[0], grid[-1]}))
        draft.set("choose.rows", _ROWS)
        draft.most("choose.batch_size", _BATCH)
        draft.most("choose.max_new_tokens", _TOKENS)


def quantise(draft: Draft) -> None:
    """Few rows; what must be kept is not asked of random weights."""
    if draft.get("calibration") is not None:
        draft.most("calibration.rows", _ROWS)
    what = "the quality gate: random weights have no accuracy to keep"
    draft.set("gate.rows", _ROWS)
    draft.most("gate.kl_rows", _ROWS)
    draft.set("gate.recovery", 1e-9, "stand-in", what)
    draft.set("gate.top1", None, "stand-in", what)
    draft.set("gate.kl", None, "stand-in", what)
    draft.most("batch_size", _BATCH)
    draft.most("max_new_tokens", _TOKENS)


def benchmark(draft: Draft) -> None:
    """Two rows per subset, short replies; its gate is recorded only."""
    draft.set("limit", min(2, draft.get("limit") or 2))
    draft.most("batch_size", _BATCH)
    draft.most("max_new_tokens", _TOKENS)
    if draft.get("gate") is not None:
        what = "the gate's verdict: weights are random, so it is recorded and does not stop the run"
        draft.set("gate.on_fail", "continue", "stand-in", what)


def _engine(draft: Draft) -> None:
    if draft.get("engine") == "vllm" or draft.get("vllm"):
        draft.set("engine", "hf", "gpu only", "vLLM; Hugging Face's generation is proven")
        draft.set("vllm", {}, "gpu only", "vLLM's options")
    draft.set("engine", "hf")
    draft.most("batch_size", _BATCH)
    draft.most("max_new_tokens", _TOKENS)
