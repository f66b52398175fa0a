"""Sources that a training stage's mixture, loss and anchor name, against those that its rows have."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from mindgpt_plugins.core.dataset_files import DatasetError, read_set_rows
from mindgpt_plugins.curriculum.examples import CurriculumError
from mindgpt_plugins.curriculum.mixture import check_weights
from mindgpt_plugins.curriculum.mixture_check import find_mixture_problem
from mindgpt_plugins.llamafactory_ext.settings import Section
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.sft.config import TrainingConfig


class _MissingSourceError(ValueError):
    """A row does not say where it comes from."""


def find_source_problems(config: TrainingConfig, context: Context, section: Section) -> list[str]:
    """Weights without rows, rows without a weight, and weights that cannot be meant.

    Args:
        config: the stage's.
        context: the stage's.
        section: ours of the rendered config, its names known to be registered.
    """
    by_source = section.mixture is not None and section.mixture.by == "source"
    try:
        counts = _count_sources(config, context, section) if section.needs_source() else None
    except _MissingSourceError as error:
        return [str(error)]
    found = []
    if section.mixture is not None:
        groups = counts if by_source else {one.set: 1 for one in config.data}
        found.append(find_mixture_problem(section.mixture, groups))
    if counts is not None:
        named = section.loss.options.get("weights") if section.loss is not None else None
        found.append(_find_stranger("loss", named or {}, counts))
        if section.kl is not None:
            found.append(_find_stranger("kl.sources", dict.fromkeys(section.kl.sources, 1.0), counts))
    return [problem for problem in found if problem is not None]


def _count_sources(config: TrainingConfig, context: Context, section: Section) -> Counter[str] | None:
    """Rows of each source; ``None`` when some cannot be read yet, or at all (said where rows are checked).

    Raises:
        _MissingSourceError: a row has none.
    """
    named = config.llamafactory.get("max_samples")
    most = named if isinstance(named, int) and named >= 0 else None  # another is refused by the host's own check
    column = section.columns.source
    counts: Counter[str] = Counter()
    for one in config.data:
        folder, name = context.dataset(one.set)
        if not context.made(one.set):
            return None
        try:
            for row in islice(read_set_rows(folder, name), most):
                source = row.data.get(column)
                if source in (None, ""):
                    raise _MissingSourceError(
                        f"set {one.set!r}: {row.place} has no {column!r}, which loss weights, kl, a mixture or sources "
                        "need in every row"
                    )
                counts[str(source)] += 1
        except DatasetError:
            return None
    return counts


def _find_stranger(what: str, weights: dict[str, float], counts: Counter[str]) -> str | None:
    if not weights:
        return None
    try:
        check_weights(what, weights, sorted(counts))
    except CurriculumError as error:
        return str(error)
    return None
