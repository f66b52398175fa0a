"""What is wrong with a mixture, seen before a run: it is built over the counts of the rows as the sampler will."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.curriculum.config import MixtureChoice
from mindgpt_plugins.curriculum.examples import CurriculumError
from mindgpt_plugins.curriculum.mixture import require_every_weight


def find_mixture_problem(choice: MixtureChoice, counts: Mapping[str, int] | None) -> str | None:
    """Why a mixture cannot be drawn, or ``None``.

    Args:
        choice: the mixture; its name is registered.
        counts: group → rows; ``None`` while the rows are not there: then every group that a weight names counts as one
            of them, which leaves the weights themselves to be judged.
    """
    build = get_registered("mixture", choice.name)
    if not isinstance(build, type):
        return None
    wanted = [p for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for parameter in wanted:
        if parameter.default is parameter.empty and parameter.name not in choice.options:
            return f"mixture {choice.name!r} needs the option {parameter.name!r}"
    if counts is None:
        weights = choice.options.get("weights")
        if not isinstance(weights, Mapping):
            return None
        counts = dict.fromkeys(weights, 1)
    names = tuple(sorted(counts))
    sizes = [counts[name] for name in names]
    try:
        build(names, sizes, **choice.options)
        require_every_weight(build, choice.options, names, sizes)
    except CurriculumError as error:
        return str(error)
    except (TypeError, ValueError, AttributeError) as error:  # an option of another type than it asks for
        return f"mixture {choice.name!r} does not take its options: {error}"
    return None
