"""Keeps transformers from building the same strict dataclass anew in every call of a multimodal processor.

Why: ``ProcessorMixin._merge_kwargs`` (transformers 5.5) makes a new ``TypedDict`` class per call and modality and hands
it to ``validate_typed_dict``, whose cache is keyed by class and so never hits: milliseconds of host time per call, and
the cache keeps the last 128 dead classes. Here the first class with equal annotations stands for all later ones; what
is validated, and what it raises, stays the same.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"4592b6dab7f5": "transformers 5.5.4"}


def places() -> list[Place]:
    """What is replaced."""
    import transformers.processing_utils as module

    return [Place(module, "validate_typed_dict", KNOWN, _reusing)]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: ``validate_typed_dict`` is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def _reusing(original: Any) -> Any:
    first: dict[tuple[Any, ...], Any] = {}

    def validate_typed_dict(schema: Any, data: dict[str, Any]) -> None:
        try:
            key = (schema.__name__, schema.__total__, *sorted(schema.__annotations__.items(), key=lambda item: item[0]))
            schema = first.setdefault(key, schema)
        except TypeError:  # an annotation that cannot be hashed
            pass
        original(schema, data)

    return validate_typed_dict
