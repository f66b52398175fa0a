"""Step ``density``: the four sub-scores and IDS of every picture → ``density.parquet``."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data import engines
from mindgpt_data.density.calibrate import compute_quantiles
from mindgpt_data.density.score import Picture, compute_information_density
from mindgpt_data.io.images import ImageError, open_image
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import DENSITY_COLUMNS, Drop, Work
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_plugins.core import files, registry
from mindgpt_plugins.core.files import dump_json_line

if TYPE_CHECKING:
    from mindgpt_data.schema.config import DataSettings

STEP = "density"
INLINE = 8
"""Up to this many pictures are scored in this process: starting workers would cost more."""
Estimator = Callable[..., dict[str, float]]


@dataclass(frozen=True)
class ScoredRecord:
    """What became of one record: its sub-scores, or why there are none."""

    scores: dict[str, float] | None
    gate: str = ""
    reason: str = ""
    detail: str = ""


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Score every record; a record of several pictures gets the largest sub-score of each dimension.

    Scores are kept in ``partial/density.jsonl`` as they come (the judge's answers in the store), so a run that was
    killed, or a corpus that has grown, is scored only where it was not before. A picture that cannot be scored becomes
    a drop.

    Raises:
        RegistryError: no such estimator or option.
        ValueError: unusable weights, no endpoint for the judge, or not a single picture could be scored.
    """
    start = time.monotonic()
    density = settings.density
    chosen = density.estimator
    estimator = registry.get_registered("estimator", chosen.name)
    registry.check_options("estimator", chosen.name, chosen.options)
    compute_information_density(dict.fromkeys(SUB_SCORES, 0.0), density.weights)  # refuses bad weights before any work
    records = work.read_images()
    if hasattr(estimator, "score_all"):
        found = _judged(work, settings, estimator, records, progress)
    else:
        found = _measured(work, settings, estimator, records, progress)
    drops = [Drop(STEP, s.gate, s.reason, image, s.detail) for image, s in found.items() if s.scores is None]
    work.write_drops(STEP, drops)
    scored = {image: s.scores for image, s in found.items() if s.scores is not None}
    if not scored:
        raise ValueError(f"no picture could be scored; first: {drops[0].key}: {drops[0].reason}: {drops[0].detail}")
    ids = [compute_information_density(scores, density.weights) for scores in scored.values()]
    if density.calibrate:
        ids = compute_quantiles(ids)
    rows: list[dict[str, Any]] = [
        {"image": image, **scores, "ids": value} for (image, scores), value in zip(scored.items(), ids, strict=True)
    ]
    files.write_table(work.density, rows, DENSITY_COLUMNS)
    summary = {
        "images": len(rows),
        "dropped": dict(Counter(drop.reason for drop in drops)),
        "mean": {name: round(sum(row[name] for row in rows) / len(rows), 4) for name in (*SUB_SCORES, "ids")},
        "seconds": round(time.monotonic() - start, 3),
        "settings": density.model_dump(mode="json"),
    }
    work.write_summary(STEP, summary)
    return summary


def score_record(
    record: ImageRecord, estimator: Estimator, options: dict[str, Any], max_megapixels: float
) -> ScoredRecord:
    """Score one record: the item function of the step."""
    try:
        each = [
            _checked(estimator(Picture(functools.partial(open_image, Path(path), max_megapixels), record), **options))
            for path in record.paths
        ]
    except ImageError as error:
        return ScoredRecord(None, "open", error.reason, str(error))
    return ScoredRecord({name: max(scores[name] for scores in each) for name in SUB_SCORES})


def _checked(scores: dict[str, float]) -> dict[str, float]:
    """What an estimator returned, refused when it is not the four sub-scores (a plugin's may be anything)."""
    if set(scores) != set(SUB_SCORES) or not all(0 <= scores[name] <= 5 for name in SUB_SCORES):
        raise ValueError(f"the estimator returned {scores}; need {', '.join(SUB_SCORES)}, each in [0, 5]")
    return {name: float(scores[name]) for name in SUB_SCORES}


def _measured(
    work: Work, settings: DataSettings, estimator: Estimator, records: list[ImageRecord], progress: Progress
) -> dict[str, ScoredRecord]:
    """Score in worker processes, keeping what comes in the partial file."""
    chosen, limit = settings.density.estimator, settings.images.max_megapixels
    key = json.dumps([chosen.name, chosen.options, limit], sort_keys=True)
    path = work.folder / "partial" / "density.jsonl"
    kept = _kept(path, key)
    prints = {record.image: _fingerprint(key, record) for record in records}
    left = [record for record in records if prints[record.image] not in kept]
    function = functools.partial(score_record, estimator=estimator, options=chosen.options, max_megapixels=limit)
    began, failed = time.monotonic(), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, ScoredRecord] = {}
    with path.open("a", encoding="utf-8") as file:
        for number, (record, result) in enumerate(_outcomes(function, left), 1):
            if result.scores is None:
                found[record.image] = result
                failed += 1
            else:
                kept[prints[record.image]] = result.scores
                file.write(dump_json_line({"key": prints[record.image], "scores": result.scores}) + "\n")
                file.flush()
            rate = number / max(time.monotonic() - began, 1e-9)
            done = len(records) - len(left) + number
            eta = (len(left) - number) / rate
            progress({"stage": STEP, "step": done, "total": len(records), "failed": failed, "rate": rate, "eta": eta})
    return {r.image: found.get(r.image) or ScoredRecord(kept[prints[r.image]]) for r in records}


def _outcomes(
    function: Callable[[ImageRecord], ScoredRecord], records: list[ImageRecord]
) -> Iterator[tuple[ImageRecord, ScoredRecord]]:
    for record, outcome in zip(records, engines.map_items(function, records, inline=INLINE), strict=True):
        yield record, outcome.value or ScoredRecord(None, "estimator", "estimator failed", outcome.error)


def _judged(
    work: Work, settings: DataSettings, judge: Any, records: list[ImageRecord], progress: Progress
) -> dict[str, ScoredRecord]:
    """Score through the judge's endpoints; answers are in the store."""
    from mindgpt_data.client.request import Failed

    options = {name: value for name, value in settings.density.estimator.options.items() if name != "endpoints"}
    endpoints = settings.endpoints_for("judge")
    found: dict[str, ScoredRecord] = {}
    for outcome in judge.score_all(records, endpoints=endpoints, store=work.store, progress=progress, **options):
        if isinstance(outcome, Failed):
            found[outcome.key] = ScoredRecord(None, "judge", "the judge gave no usable answer", outcome.error)
        else:
            found[outcome.key] = ScoredRecord(_checked(outcome.value))
    return {record.image: found[record.image] for record in records}


def _kept(path: Path, key: str) -> dict[str, dict[str, float]]:
    """Scores of an earlier run; a last line that was cut by a kill is left out and overwritten by a new one."""
    files.cut_torn_line(path)
    return {data["key"]: data["scores"] for _, data in files.read_jsonl(path)} if path.is_file() else {}


def _fingerprint(key: str, record: ImageRecord) -> str:
    return hashlib.sha256(dump_json_line([key, record.content, record.paths]).encode()).hexdigest()[:32]
