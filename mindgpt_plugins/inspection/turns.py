"""Turns of a row as LLaMA-Factory 0.9.5 takes them: what it drops, what ends its run, and what is left to train on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import INFO, SetInfo, SetRow
from mindgpt_plugins.inspection.faults import Fault

TAGS = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}
"""Column of media → the tag that stands for one of them in a turn."""
_ROLES = {
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def find_turn_faults(info: SetInfo, row: SetRow) -> Iterator[Fault]:
    """Faults of a row's turns and of the number of its media.

    Args:
        info: of the set.
        row: as it stands in the file.
    """
    found = list(_alpaca(info, row) if info.formatting == "alpaca" else _chat(info, row))
    yield from found
    if all(fault.kind in ("empty_reply", "system_prompt") for fault in found):
        yield from _media(info, row)


def _trained_texts(info: SetInfo, row: SetRow) -> list[str]:
    """Every text of a sound row in which the host looks for tags: all turns and replies, no system prompt."""
    data = row.data
    if info.formatting == "alpaca":
        history = _value(info, data, "history") or []
        texts = [text for pair in history for text in pair]
        texts += [_value(info, data, key) or "" for key in ("prompt", "query")]
        return texts + [text for text in _alpaca_replies(info, data) if text]
    content = _tag(info, "content_tag", "value")
    turns = _turns(info, data)
    if turns and turns[0].get(_tag(info, "role_tag", "from")) == _tag(info, "system_tag", "system"):
        turns = turns[1:]
    return [turn[content] for turn in (*turns, *_ranked(info, data))]


def find_column_faults(info: SetInfo, seen: Collection[str]) -> Iterator[Fault]:
    """Columns that the host will look for and that no row has; one that only some rows lack is null in the others.

    Args:
        info: of the set.
        seen: every column that a row has.
    """
    ranking = ("chosen", "rejected") if info.entry.get("ranking") else ()
    alpaca = ("prompt", "query", "history", *(ranking or ("response",)))
    needed = alpaca if info.formatting == "alpaca" else ("messages", *ranking)
    for key in needed if info.entry.get("columns") is None else (*needed, "system", "tools", *TAGS):
        name = info.column(key)
        if name is None and key in ("messages", "chosen", "rejected"):
            yield Fault("no_column", INFO, f"`columns` of set {info.name!r} does not name {key!r}")
        elif name is not None and name not in seen:
            yield Fault("no_column", "every row", f"no {name!r} ({key})")


def find_media_faults(folder: Path, info: SetInfo, row: SetRow) -> Iterator[Fault]:
    """Videos and sounds that do not exist; pictures are opened elsewhere.

    Args:
        folder: in which media are looked for.
        info: of the set.
        row: as it stands in the file.
    """
    for column in ("videos", "audios"):
        for one in info.media(row.data, column):
            if isinstance(one, str) and not (folder / one).is_file():  # a list is a video's frames
                yield Fault("no_media", row.place, str(folder / one))
        if column == "videos" and info.media(row.data, column):
            yield Fault("not_counted", row.place, "its videos' tokens are not known before they are decoded")


def _media(info: SetInfo, row: SetRow) -> Iterator[Fault]:
    texts = _trained_texts(info, row)
    if info.entry.get("ranking") and info.formatting != "alpaca":
        texts, ranked = texts[:-2], texts[-2:]
    else:
        ranked = []
    for column, tag in TAGS.items():
        media = len(info.media(row.data, column))
        # Of a ranking set's two replies each is joined to the same prompt; a tag in one of them is one too many there.
        for tags in {sum(text.count(tag) for text in texts) + text.count(tag) for text in ranked or [""]}:
            if media != tags:
                yield Fault("placeholders", row.place, f"{media} {column}, {tags} {tag}")
                break


def _chat(info: SetInfo, row: SetRow) -> Iterator[Fault]:
    """The formats sharegpt and openai."""
    data = row.data
    ranking = bool(info.entry.get("ranking"))
    role, content = _tag(info, "role_tag", "from"), _tag(info, "content_tag", "value")
    if not isinstance(_value(info, data, "messages"), (list, tuple)):
        told = _short(_value(info, data, "messages"))
        yield Fault("malformed", row.place, f"{info.column('messages')} must be a list of turns, got {told}")
        return
    turns = _turns(info, data)
    for turn in turns:
        if not isinstance(turn, Mapping) or role not in turn or content not in turn:
            yield Fault("malformed", row.place, f"a turn must have {role!r} and {content!r}, got {_short(turn)}")
            return
    names = {_tag(info, key, default): key for key, default in _ROLES.items()}
    system = None
    if turns and isinstance(turns[0][role], str) and names.get(turns[0][role]) == "system_tag":
        system, turns = turns[0][content], turns[1:]
    if info.formatting == "openai":
        yield Fault("system_prompt", row.place)
        turns = _merge_observations(turns, role, names)
    odd, even = ("user_tag", "observation_tag"), ("assistant_tag", "function_tag")
    for number, turn in enumerate(turns):
        if not isinstance(turn[role], str) or names.get(turn[role]) not in (even if number % 2 else odd):
            yield Fault("roles", row.place, f"turn {number} is of {_short(turn[role])}")
            return
    if len(turns) % 2 != ranking:
        yield Fault("turn_count", row.place, f"{len(turns)} turns")
        return
    if not turns:
        yield Fault("turn_count", row.place, "no turns")
        return
    replies = {key: _value(info, data, key) for key in ("chosen", "rejected")} if ranking else {}
    for key, reply in replies.items():
        if not isinstance(reply, Mapping):
            yield Fault(
                "no_reply", row.place, f"{key} must be a turn with {role!r} and {content!r}, got {_short(reply)}"
            )
            return
    if system is not None:
        yield from _text(row, system, "the system prompt")
    for number, turn in enumerate(turns):
        if not (info.formatting == "openai" and turn.get("tool_calls")):
            yield from _text(row, turn[content], f"turn {number}")
    if not ranking and turns[-1][content] == "":
        yield Fault("empty_reply", row.place)
    for key, reply in replies.items():
        if role not in reply or content not in reply:
            told = f"{key} must have {role!r} and {content!r}, got {_short(reply)}"
            yield Fault("malformed", row.place, told)
        elif not isinstance(reply[role], str) or names.get(reply[role]) not in even:
            yield Fault("malformed", row.place, f"{key} is of {_short(reply[role])}, not of the assistant")
        else:
            yield from _text(row, reply[content], key)


def _merge_observations(turns: Sequence[Any], role: str, names: Mapping[str, str]) -> list[Any]:
    """The openai format: results of several tools are one turn; trailing ones are left out."""
    kept: list[Any] = []
    waiting: Any = None
    for turn in turns:
        if isinstance(turn[role], str) and names.get(turn[role]) == "observation_tag":
            waiting = waiting or turn
            continue
        if waiting is not None:
            kept.append(waiting)
            waiting = None
        kept.append(turn)
    return kept


def _alpaca(info: SetInfo, row: SetRow) -> Iterator[Fault]:
    data = row.data
    ranking = bool(info.entry.get("ranking"))
    texts: list[tuple[str, Any]] = []
    history = _value(info, data, "history")
    for pair in history if isinstance(history, (list, tuple)) else ():
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            yield Fault("malformed", row.place, f"history must hold pairs of question and reply, got {_short(pair)}")
            return
        texts += [("history", text) for text in pair]
    for key in ("prompt", "query"):
        value = _value(info, data, key)
        if value:
            yield from _text(row, value, info.columns[key])
    replies = _alpaca_replies(info, data)
    if not replies or any(not isinstance(reply, str) for reply in replies):
        yield Fault("no_reply", row.place, f"the reply is {_short(replies[0] if replies else None)}")
        return
    for what, text in texts:
        yield from _text(row, text, what)
    if "" in replies and not ranking:
        yield Fault("empty_reply", row.place)


def _alpaca_replies(info: SetInfo, data: Mapping[str, Any]) -> list[Any]:
    keys = ("chosen", "rejected") if info.entry.get("ranking") else ("response",)
    return [_value(info, data, key) for key in keys if info.column(key)]


def _ranked(info: SetInfo, data: Mapping[str, Any]) -> list[Any]:
    return [_value(info, data, key) for key in ("chosen", "rejected")] if info.entry.get("ranking") else []


def _turns(info: SetInfo, data: Mapping[str, Any]) -> list[Any]:
    turns = _value(info, data, "messages")
    return list(turns) if isinstance(turns, (list, tuple)) else []


def _text(row: SetRow, value: Any, what: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault("content", row.place, f"{what} is {_short(value)}")


def _tag(info: SetInfo, key: str, default: str) -> Any:
    # An entry with `tags` has only those that it names: without `system_tag`, a system turn is one too many.
    return info.entry["tags"].get(key) if info.entry.get("tags") else default


def _value(info: SetInfo, data: Mapping[str, Any], key: str) -> Any:
    column = info.column(key)
    return None if column is None else data.get(column)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
