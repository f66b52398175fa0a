"""Preference pairs from a model's own replies, of three kinds (method: ours, after MPO 2411.10442).

* ``right_wrong``: a right reply over a wrong one of similar length, so that length is no cue.
* ``grounded_blind``: a right reply over its own beginning continued, wrongly, with the image blanked.
* ``concise_verbose``: the shortest right reply over a much longer right one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export import write_preference_set
from mindgpt_data.schema.rows import PAIR_KINDS, Pair

from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.collect import Answerer, Progress, collect_replies
from mindgpt_plugins.generation.engines import choose_engine_name, make_lazy_engine
from mindgpt_plugins.generation.hf_engine import Reply
from mindgpt_plugins.stages.evaluate.run import is_reply_right
from mindgpt_plugins.stages.preference_pairs.job import PreferencePairsJob
from mindgpt_plugins.stages.self_training.prompts import LocatedRow, SelfTrainingError, adopt_row_images, read_items

Candidate = tuple[str, str]
"""Chosen and rejected reply."""


def run(
    config_path: Path, engines: Callable[[PreferencePairsJob], Callable[[], Answerer]] = make_lazy_engine
) -> dict[str, Any]:
    """Run the stage that ``preference_pairs.json`` describes; return the content of ``summary.json``.

    Raises:
        SelfTrainingError: the replies give no pair at all.
    """
    job = read_model(config_path, PreferencePairsJob)
    folder = config_path.resolve().parent
    items = read_items(job.prompts)
    engine = engines(job)
    # An upper bound until the replies are known: only prompts with a right reply are continued without the image.
    blind_wanted = job.shares.grounded_blind > 0
    progress = Progress(folder / "metrics.jsonl", total=len(items) * (2 if blind_wanted else 1))
    asked: dict[str, Any] = {"temperature": job.temperature, "batch_size": job.batch_size, "progress": progress}
    replies = collect_replies(
        engine,
        [item.prompt() for item in items.values()],
        folder / "samples" / "sighted.jsonl",
        n=job.samples,
        **asked,
    )
    good = {uid: _good(item, replies[uid]) for uid, item in items.items()}
    blind: dict[str, list[Reply]] = {}
    if blind_wanted:
        begun = {
            uid: _beginning(found[0].text, job.blind_prefix)
            for uid, found in good.items()
            if found and items[uid].row.image
        }
        progress.total = len(items) + len(begun)
        blind = collect_replies(
            engine,
            [items[uid].prompt(prefix=text, blank=True) for uid, text in begun.items()],
            folder / "samples" / "blind.jsonl",
            n=job.blind_samples,
            **asked,
        )
    summary = build_preference_set(job, items, replies, good, blind, folder / "datasets")
    summary["engine"] = choose_engine_name(job)
    write_json(folder / "summary.json", summary)
    return summary


def build_preference_set(
    job: PreferencePairsJob,
    items: Mapping[str, LocatedRow],
    replies: Mapping[str, list[Reply]],
    good: Mapping[str, list[Reply]],
    blind: Mapping[str, list[Reply]],
    folder: Path,
) -> dict[str, Any]:
    """Form candidates, take each kind's share, write the set; return the summary."""
    shares = job.shares.model_dump()
    found: dict[str, dict[str, Candidate]] = {kind: {} for kind in PAIR_KINDS}
    for uid, item in items.items():
        bad = [r for r in replies[uid] if r.finished and not is_reply_right(item.row, r)]
        options = {
            "right_wrong": _right_wrong(good[uid], bad),
            "grounded_blind": _grounded_blind(item, good[uid], blind.get(uid, [])),
            "concise_verbose": _concise_verbose(good[uid], job.verbose_ratio, job.verbose_tokens),
        }
        for kind, candidate in options.items():
            if candidate is not None and shares[kind] > 0:
                found[kind][uid] = candidate
    wanted = _wanted(shares, job.pairs or len(items))
    taken = _take(found, wanted, job.seed)
    pairs = [
        Pair(adopt_row_images(items[uid], folder), chosen, rejected, kind)
        for kind, uids in taken.items()
        for uid in uids
        for chosen, rejected in (found[kind][uid],)
    ]
    if not pairs:
        raise SelfTrainingError(
            f"{len(items)} prompts × {job.samples} replies gave no preference pair: the model's replies are all "
            "right and alike, or all wrong; raise `samples` or `temperature`, or choose other prompts"
        )
    random.Random(job.seed).shuffle(pairs)
    write_preference_set(pairs, folder, job.set)
    label = {uid: item.row.capability for uid, item in items.items()}
    seen, solved = Counter(label.values()), Counter(label[uid] for uid, g in good.items() if g)
    kinds = {
        kind: {
            "wanted": wanted[kind],
            "candidates": len(found[kind]),
            "taken": len(taken[kind]),
            "filled_in": max(0, len(taken[kind]) - wanted[kind]),
            "missing": max(0, wanted[kind] - len(taken[kind])),
        }
        for kind in PAIR_KINDS
    }
    for kind, counts in kinds.items():
        if counts["missing"]:
            print(
                f"preference pairs: only {counts['candidates']} of {counts['wanted']} wanted {kind} pairs could be "
                "formed; the rest was filled with other kinds as far as they reach",
                flush=True,
            )
    return {
        "version": 1,
        "set": job.set,
        "pairs": len(pairs),
        "wanted": sum(wanted.values()),
        "short": sum(wanted.values()) - len(pairs),
        "prompts": len(items),
        "kinds": kinds,
        "dropped": {
            "no right reply": sum(not g for g in good.values()),
            "right replies only, all alike": sum(
                bool(good[uid]) and not any(uid in found[kind] for kind in PAIR_KINDS) for uid in items
            ),
        },
        "acceptance": {c: solved[c] / seen[c] for c in sorted(seen)},
        "pairs_by_capability": dict(sorted(Counter(pair.row.capability for pair in pairs).items())),
    }


def _good(item: LocatedRow, replies: Sequence[Reply]) -> list[Reply]:
    """Right, finished replies, the shortest first (ties by text, so that the order is fixed)."""
    return sorted((r for r in replies if r.finished and is_reply_right(item.row, r)), key=lambda r: (r.tokens, r.text))


def _beginning(text: str, share: float) -> str:
    """The first words of a reply, at least none and never all of them."""
    words = text.split(" ")
    return " ".join(words[: min(int(share * len(words)), len(words) - 1)])


def _right_wrong(good: Sequence[Reply], bad: Sequence[Reply]) -> Candidate | None:
    if not good or not bad:
        return None
    chosen, rejected = min(
        ((g, b) for g in good for b in bad), key=lambda gb: (abs(gb[0].tokens - gb[1].tokens), gb[0].text, gb[1].text)
    )
    return chosen.text, rejected.text


def _grounded_blind(item: LocatedRow, good: Sequence[Reply], blind: Sequence[Reply]) -> Candidate | None:
    wrong = Counter(r.text for r in blind if r.finished and not is_reply_right(item.row, r))
    # The guess it makes most often without seeing; ties by text, so that the choice is fixed.
    return (good[0].text, min(wrong, key=lambda text: (-wrong[text], text))) if good and wrong else None


def _concise_verbose(good: Sequence[Reply], ratio: float, more: int) -> Candidate | None:
    if not good:
        return None
    short, long = good[0], good[-1]
    if long.tokens < ratio * short.tokens or long.tokens < short.tokens + more or long.text == short.text:
        return None
    return short.text, long.text


def _wanted(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Largest remainder over the shares."""
    whole = sum(shares[kind] for kind in PAIR_KINDS)
    exact = {kind: total * shares[kind] / whole for kind in PAIR_KINDS}
    counts = {kind: int(value) for kind, value in exact.items()}
    for kind in sorted(PAIR_KINDS, key=lambda k: counts[k] - exact[k])[: total - sum(counts.values())]:
        counts[kind] += 1
    return counts


def _take(found: Mapping[str, Mapping[str, Candidate]], wanted: Mapping[str, int], seed: int) -> dict[str, list[str]]:
    """Draw each kind's share; then fill what is missing from the kinds with candidates left."""
    order = {}
    for kind, candidates in found.items():
        order[kind] = sorted(candidates)
        random.Random(f"{seed} {kind}").shuffle(order[kind])
    taken = {kind: order[kind][: wanted[kind]] for kind in found}
    missing = sum(wanted.values()) - sum(len(uids) for uids in taken.values())
    for kind in found:
        extra = order[kind][wanted[kind] : wanted[kind] + missing]
        taken[kind] = taken[kind] + extra
        missing -= len(extra)
    return taken
