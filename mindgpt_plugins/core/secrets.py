"""Keys, tokens and passwords: a recipe names the variable that holds one, so that nothing we write can hold one.

Refusing them at the door is what keeps them out of every command, host config, hash, manifest and page; nothing has to
be masked afterwards. :func:`mask_secrets` is the second line, for texts of others that go into a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MASK = "***"
"""What stands in the place of a value that is not shown."""
SHORTEST = 8
"""Letters of the shortest key that is taken out of replies."""
_NAME = re.compile(
    r"(^|_)((api|access|secret|private|auth|account|encryption|signing|ssh)_?key|pass(word|wd|phrase)|secret|credentials?"
    r"|authori[sz]ation|bearer|(hf|hub|ms|om|api|access|auth|bearer|refresh|session|security)_token)$|^token$"
)
_TOKEN_NAME = re.compile(r"_token$")
_SPECIAL = re.compile(r"[<\[|].*[>\]|]|.{0,7}", re.DOTALL)
"""What ``eos_token`` and its like hold, in contrast to ``hub_token``."""
_VARIABLE = re.compile(r"(^|_)(TOKEN|KEY|APIKEY|SECRET|PASSWORD|PASSWD|PASS|PAT|AUTH|CREDENTIALS?)$")
_USERINFO = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://)(?!git@)[^\s/@'\"]+(?=@)", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?P<before>(?:(?:\b|_)(?:token|secret|password|passwd)|(?:api|access|secret|private|auth)[_-]?key|[A-Z]_KEY)="
    r"|\bauthorization['\"]?\s?[=:]\s?['\"]?(?:bearer |basic |token ))"
    r"(?=[^\s'\"]*\d)[^\s'\",;&<>{}()$]{8,}",
    re.IGNORECASE,
)
_KNOWN_FORM = re.compile(
    r"(?P<before>(?<![\w-]))(?:"
    r"sk-(?=[\w-]*\d)[\w-]{8,}"  # OpenAI, Anthropic, DeepSeek, …
    r"|(?:hf|gsk|gh[pousr]|r8|npm)_(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{20,}"  # Hugging Face, Groq, GitHub, Replicate, npm
    r"|(?:github_pat_|glpat-|xox[abprs]-|nvapi-|pplx-|xai-|pypi-|wandb_v\d_)(?=[\w-]*\d)[\w-]{16,}"
    r"|ms-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # ModelScope
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}"  # Amazon
    r"|AIza[\w-]{35}"  # Google
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"  # a JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*)"
)
_FORMS = (_USERINFO, _ASSIGNED, _KNOWN_FORM)


def find_secret_literals(data: Any, place: str = "") -> Iterator[str]:
    """Yield one line for every value of nested settings that is a key, a token or a password, or looks like one.

    No line holds the value.

    Args:
        data: mappings, lists and plain values.
        place: dotted path of ``data``, for the message.
    """
    if isinstance(data, dict):
        for key, value in data.items():
            yield from find_secret_literals(value, f"{place}.{key}".lstrip("."))
    elif isinstance(data, (list, tuple)):
        for number, value in enumerate(data):
            yield from find_secret_literals(value, f"{place}.{number}")
    elif (what := _judge_value(place, data)) is not None:
        yield f"{place}: {what}, and a recipe is no place for one: {_advise(place, str(data))}"


def mask_secrets(text: str) -> str:
    """The text with passwords in addresses and whatever looks like a key made unreadable."""
    for form in _FORMS:
        text = form.sub(rf"\g<before>{MASK}", text)
    return text


def redact_key(content: bytes, key: str | None) -> bytes:
    """What a server sent without the key that it was sent: servers like to repeat the one they refuse.

    A key of a few letters (``none``, ``EMPTY``) is a placeholder, and part of ordinary replies.
    """
    secret = (key or "").rpartition(" ")[2]  # without the scheme
    return content.replace(secret.encode(), MASK.encode()) if len(secret) >= SHORTEST else content


def format_authorization(key: str) -> str:
    """The header for a key: ``Bearer …``, or the variable's value as it is when it names its scheme (``Basic …``)."""
    return key if " " in key else f"Bearer {key}"


def _judge_value(place: str, value: Any) -> str | None:
    if isinstance(value, bool) or value is None or value == "" or set(str(value)) <= {"*"}:
        return None
    text = str(value)
    parts = [part for part in re.split(r"[.+]", place) if not part.isdigit()]
    name = parts[-1] if parts else ""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[- ]", "_", name).lower()
    # A number under such a name is a share or a count (`sources: {secret: 600}`) unless it is long.
    if isinstance(value, str) or (isinstance(value, int) and len(text) >= 6):
        variable = parts[:1] == ["launch"] and parts[-2:-1] == ["env"] and _VARIABLE.search(name.upper())
        if variable or _NAME.search(plain) or (_TOKEN_NAME.search(plain) and not _SPECIAL.fullmatch(text)):
            return f"{name!r} holds a key, a token or a password"
    if _USERINFO.search(text):
        return "the address holds a user or a password"
    return "the value looks like a key" if mask_secrets(text) != text else None


def _advise(place: str, value: str) -> str:
    side, _, name = place.removeprefix("launch.").partition(".env.")
    if place.startswith("launch.") and name:
        return f"export {name} in the shell and write launch: {{{side}: {{env_from: [{name}]}}}}"
    if "://" in value or "endpoints" in place or "extra_body" in place:
        return (
            "put it into an environment variable and name that: api_key_env of an endpoint, key_env of a benchmark "
            "server (it is sent as the Authorization header; a value with its scheme, `Basic …`, is sent as it is)"
        )
    return (
        "put it into the environment variable that the host reads (HF_TOKEN, WANDB_API_KEY, …), name that in "
        "launch: {<side>: {env_from: [HF_TOKEN]}}, and leave the key out"
    )
