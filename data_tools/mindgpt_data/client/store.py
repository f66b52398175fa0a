"""The store: every answer that was paid for, in one SQLite file, so that no run pays for it again.

Durability. The file is in WAL mode with ``synchronous=FULL``: a commit is on the disk before it counts, so an answer
survives ``kill -9`` of the process and a power loss alike (``NORMAL`` survives only the first: after a power loss it
may forget the last commits, which were paid for). An fsync is slow, so many answers share one: the writer commits all
that came in since its last commit (:mod:`mindgpt_data.client.run`).

WAL needs a local disk: on a network file system other processes of the same machine only may read along.

What is in it: texts, log-probabilities, token counts, errors. Never an API key, never image bytes, never a request.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mindgpt_data.client.request import Answer

VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    step TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')), answer TEXT, error TEXT,
    attempts INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cost REAL NOT NULL,
    model TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (step, key)
) WITHOUT ROWID"""
# Tokens, cost and attempts add up over runs: a repeated item was paid for each time.
_REPEATED = """
ON CONFLICT (step, key) DO UPDATE SET
    fingerprint = excluded.fingerprint, status = excluded.status, answer = excluded.answer, error = excluded.error,
    attempts = attempts + excluded.attempts, prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens, cost = cost + excluded.cost,
    model = excluded.model, seconds = excluded.seconds"""
_SAVE = f"INSERT INTO main.answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_REPEATED}"
_ABSORB = f"INSERT INTO main.answers SELECT * FROM other.answers WHERE true {_REPEATED}"


class StoreError(ValueError):
    """The store cannot be opened or written."""


@dataclass(frozen=True)
class Record:
    """What became of one task.

    Attributes:
        key: of the task.
        fingerprint: of the task.
        answer: the valid answer, or None when it failed.
        error: why it failed.
        attempts: requests made for it in this run.
        prompt_tokens: over all attempts.
        completion_tokens: over all attempts.
        cost: over all attempts, in the unit of the endpoint's prices.
        model: that answered last.
        seconds: from first request to outcome.
    """

    key: str
    fingerprint: str
    answer: Answer | None
    error: str = ""
    attempts: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    model: str = ""
    seconds: float = 0.0


class Store:
    """One connection to the file; each thread opens its own.

    Args:
        path: created with its folder when missing.

    Raises:
        StoreError: not a store, or written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=60)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise StoreError(f"{path}: store version {version}, this program reads up to {VERSION}; update it")
            if version < VERSION:
                self._db.execute(_TABLE)
                self._db.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be used as the store of answers: {error}") from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def find(self, step: str, key: str, fingerprint: str) -> Answer | None:
        """The stored answer to exactly this request, or None."""
        row = self._db.execute(
            "SELECT answer FROM answers WHERE step = ? AND key = ? AND fingerprint = ? AND status = 'done'",
            (step, _name(key), fingerprint),
        ).fetchone()
        return None if row is None else _decode(row[0])

    def error(self, step: str, key: str, fingerprint: str) -> str | None:
        """Why exactly this request failed, or None when it did not."""
        row = self._db.execute(
            "SELECT error FROM answers WHERE step = ? AND key = ? AND fingerprint = ? AND status = 'failed'",
            (step, _name(key), fingerprint),
        ).fetchone()
        return None if row is None else str(row[0])

    def save(self, step: str, records: Iterable[Record]) -> None:
        """Commit outcomes in one transaction.

        Raises:
            sqlite3.Error: disk full, file locked for a minute…; nothing of this call is stored then.
        """
        rows = [
            (
                step, _name(r.key), r.fingerprint, "failed" if r.answer is None else "done",
                None if r.answer is None else _encode(r.answer), r.error or None,
                r.attempts, r.prompt_tokens, r.completion_tokens, r.cost, r.model, r.seconds,
            )
            for r in records
        ]  # fmt: skip
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_SAVE, rows)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def absorb(self, path: Path) -> None:
        """Move everything in another store into this one and delete its file.

        Killed half way, the same call finishes it; the other's costs may then be counted twice.
        """
        Store(path).close()  # a store, and of this version
        self._db.execute("ATTACH ? AS other", (str(path),))
        try:
            self._db.execute(_ABSORB)
        finally:
            self._db.execute("DETACH other")
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def counts(self, step: str) -> dict[str, int]:
        """``{"done": …, "failed": …}`` of a step."""
        found = dict(self._db.execute("SELECT status, COUNT(*) FROM answers WHERE step = ? GROUP BY status", (step,)))
        return {"done": found.get("done", 0), "failed": found.get("failed", 0)}

    def failures(self, step: str) -> Iterator[tuple[str, str]]:
        """``(key, error)`` of everything that failed."""
        yield from self._db.execute("SELECT key, error FROM answers WHERE step = ? AND status = 'failed'", (step,))

    def usage(self) -> list[dict[str, Any]]:
        """Per step and model: ``step, model, done, failed, attempts, prompt_tokens, completion_tokens, cost``."""
        names = ("step", "model", "done", "failed", "attempts", "prompt_tokens", "completion_tokens", "cost")
        rows = self._db.execute(
            "SELECT step, model, SUM(status = 'done'), SUM(status = 'failed'), SUM(attempts), SUM(prompt_tokens), "
            "SUM(completion_tokens), SUM(cost) FROM answers GROUP BY step, model ORDER BY step, model"
        )
        return [dict(zip(names, row, strict=True)) for row in rows]


def _name(key: str) -> str:
    """Keys made of file names that are no UTF-8 hold half characters, which SQLite refuses."""
    return key if key.isascii() else key.encode("utf-8", "backslashreplace").decode()


def _encode(answer: Answer) -> str:
    return json.dumps(vars(answer), ensure_ascii=False, separators=(",", ":"))


def _decode(text: str) -> Answer:
    data = json.loads(text)
    data["texts"] = tuple(data["texts"])
    data["logprobs"] = tuple(tuple(tokens) for tokens in data["logprobs"])
    return Answer(**data)
