"""A recipe's options against a reward's signature, before anything runs: names, missing ones, types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mindgpt_plugins.core.registry import check_options
from mindgpt_plugins.rewards.sdk import RewardError


def coerce_reward_options(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the function annotates them (a list of the recipe becomes a tuple, say).

    Args:
        name: registered name.
        function: the reward; a parameter without annotation takes anything.
        options: from the recipe.

    Raises:
        RegistryError: an option it does not have.
        RewardError: an option without a default is missing, or a value is of another type.
    """
    check_options("reward", name, options)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if missing:
        raise RewardError(f"reward {name!r} needs {', '.join(missing)}: set them under its `options:`")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError:  # a name that its module imports for type checkers only
        hints = {}
    found = dict(options)
    for option, value in options.items():
        if option not in hints:
            continue
        try:
            found[option] = TypeAdapter(hints[option], config=_config(hints[option])).validate_python(value)
        except ValidationError as error:
            raise RewardError(
                f"reward {name!r}, option {option!r}: {value!r} does not fit: {error.errors()[0]['msg']}"
            ) from None
    return found


def _config(hint: Any) -> ConfigDict | None:
    # Models bring their own configuration, and pydantic refuses a second one.
    own = hasattr(hint, "model_config") or hasattr(hint, "__pydantic_config__") or hasattr(hint, "__dataclass_fields__")
    return None if own else ConfigDict(arbitrary_types_allowed=True)
