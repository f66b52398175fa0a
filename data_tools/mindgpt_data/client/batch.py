"""Offline batches: requests as OpenAI Batch JSONL, answers read back into the store.

Half the price at providers' batch APIs, and no server at all with vLLM::

    vllm run-batch -i requests-00000.jsonl -o answers-00000.jsonl --model Qwen/Qwen3-VL-30B-A3B-Instruct

A step writes its requests, somebody runs them, the answers are imported, and the same step run again finds them in the
store (:func:`mindgpt_data.client.run.ask_all` asks a server only for what is missing).

Line in: ``{"custom_id", "method": "POST", "url": "/v1/chat/completions", "body"}``. Line out, from OpenAI and vLLM:
``{"custom_id", "response": {"status_code", "body"}, "error"}``, where ``error`` is null or says what failed. The
fingerprints, which decide whether an answer fits, wait in ``<step>.tasks.jsonl`` beside the requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mindgpt_data.client import wire
from mindgpt_data.client.request import Request, Task
from mindgpt_data.client.store import Record, Store
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_plugins.core.files import replace_file
from mindgpt_plugins.core.json_text import parse_json_text

T = TypeVar("T")
MAX_REQUESTS = 50_000
"""Of one file at OpenAI."""
MAX_BYTES = 200 * 1000 * 1000
"""Of one file at OpenAI (200 MB)."""
COMMIT_EVERY = 500
MAX_UNKNOWN = 100


class BatchError(ValueError):
    """A batch file cannot be written or read."""


@dataclass
class Imported:
    """What an import found.

    Attributes:
        done: answers put into the store.
        failed: lines with an error or an unusable answer; they are in the store as failed.
        known: answers that the store already had.
        unknown: custom ids that no task has, at most the first 100.
        missing: tasks without a line so far.
        unreadable: lines that are no JSON.
    """

    done: int = 0
    failed: int = 0
    known: int = 0
    unknown: list[str] = field(default_factory=list)
    missing: int = 0
    unreadable: int = 0


def write_batch_requests(
    tasks: Iterable[Task[T]],
    folder: Path,
    *,
    step: str,
    store: Path,
    endpoint: EndpointSettings,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
) -> list[Path]:
    """Write the requests of tasks that the store has no answer to.

    Args:
        tasks: drawn one at a time; their images are inline.
        folder: gets ``<step>-00000.jsonl``… and ``<step>.tasks.jsonl``; older files of the step are replaced.
        step: as for :func:`~mindgpt_data.client.run.ask_all`.
        store: answers that are there already are left out.
        endpoint: model, ``extra_body`` and prices; its URL is not used.
        max_requests: per file.
        max_bytes: per file.

    Returns:
        The request files. A task whose request cannot be built is in the store as failed.

    Raises:
        BatchError: one request alone is larger than ``max_bytes``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The list of tasks goes first and comes last: without it no request file counts.
    _tasks_file(folder, step).unlink(missing_ok=True)
    for old in folder.glob(f"{step}-[0-9][0-9][0-9][0-9][0-9].jsonl"):
        old.unlink()
    files = _Files(folder, step, max_requests, max_bytes)
    with (
        Store(store) as stored,
        replace_file(_tasks_file(folder, step)) as aside,
        aside.open("w", encoding="utf-8") as index,
    ):
        for task in tasks:
            if stored.find(step, task.key, task.fingerprint) is not None:
                continue
            try:
                request = task.build()
                messages = wire.encode_messages(request)
            except (ValueError, OSError) as error:
                told = wire.shorten_message(f"the request cannot be built: {error}")
                stored.save(step, [Record(task.key, task.fingerprint, None, told, attempts=0)])
                continue
            body = wire.encode_request(messages, request, endpoint.model, endpoint.extra_body)
            head = {"custom_id": task.key, "method": "POST", "url": "/v1/chat/completions"}
            files.add(json.dumps(head)[:-1].encode() + b', "body": ' + body + b"}\n", task.key)
            index.write(json.dumps({"key": task.key, "fingerprint": task.fingerprint, **_expected(request)}) + "\n")
    files.close()
    return files.paths


def read_batch_answers(
    answers: Sequence[Path], folder: Path, *, step: str, store: Path, endpoint: EndpointSettings | None = None
) -> Imported:
    """Put answers into the store; reading the same files again changes nothing.

    Args:
        answers: output and error files, in any order.
        folder: where :func:`write_batch_requests` left ``<step>.tasks.jsonl``.
        step: the same.
        store: the same.
        endpoint: for its prices.

    Raises:
        BatchError: no such file, or the step wrote no requests here.
    """
    known = {one["key"]: one for one in _lines(_tasks_file(folder, step), Imported())}
    found = Imported()
    seen: set[str] = set()
    done: set[str] = set()
    with Store(store) as stored:
        records: list[Record] = []
        for line in (line for path in answers for line in _lines(path, found)):
            key = str(line.get("custom_id"))
            if key not in known:
                found.unknown = [*found.unknown, key][:MAX_UNKNOWN]
                continue
            seen.add(key)
            record = _record(line, known[key], endpoint)
            if key in done or _is_known(stored, step, record):
                found.known += 1
                continue
            if record.answer is not None:
                done.add(key)
            found.done += record.answer is not None
            found.failed += record.answer is None
            records.append(record)
            if len(records) >= COMMIT_EVERY:
                stored.save(step, records)
                records = []
        stored.save(step, records)
    found.missing = len(known) - len(seen)
    return found


class _Files:
    """Request files, begun anew when the next line would pass a limit."""

    def __init__(self, folder: Path, step: str, max_requests: int, max_bytes: int) -> None:
        self.folder, self.step, self.max_requests, self.max_bytes = folder, step, max_requests, max_bytes
        self.paths: list[Path] = []
        self._file: BinaryIO | None = None
        self._requests = self._bytes = 0

    def add(self, line: bytes, key: str) -> None:
        if len(line) > self.max_bytes:
            raise BatchError(f"{self.step}: the request of {key!r} has {len(line):,} bytes, a file {self.max_bytes:,}")
        full = self._requests == self.max_requests or self._bytes + len(line) > self.max_bytes
        if self._file is None or full:
            self.close()
            self.paths.append(self.folder / f"{self.step}-{len(self.paths):05d}.jsonl")
            self._file = self.paths[-1].open("wb")
            self._requests = self._bytes = 0
        self._file.write(line)
        self._requests += 1
        self._bytes += len(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _tasks_file(folder: Path, step: str) -> Path:
    return folder / f"{step}.tasks.jsonl"


def _expected(request: Request) -> dict[str, Any]:
    """What :func:`mindgpt_data.client.wire.decode_completion` must know of a request to read its answer."""
    expected = {"max_tokens": request.max_tokens, "top_logprobs": request.top_logprobs, "scored": request.scored}
    # Of a scored request the length of the last message counts; of a schema only that there is one.
    last = [{"content": request.messages[-1]["content"]}] if request.scored else []
    return expected | {"messages": last, "schema": None if request.schema is None else {}}


def _is_known(stored: Store, step: str, record: Record) -> bool:
    if stored.find(step, record.key, record.fingerprint) is not None:
        return True
    return record.answer is None and stored.error(step, record.key, record.fingerprint) == record.error


def _record(line: dict[str, Any], task: dict[str, Any], endpoint: EndpointSettings | None) -> Record:
    key, fingerprint = task["key"], task["fingerprint"]
    response = line.get("response") or {}
    body = response.get("body", response)  # some tools leave the wrapping out
    status = response.get("status_code", 200)
    if line.get("error") or status != 200 or not body:
        told = wire.find_error_message(json.dumps(line.get("error") or body or "no answer").encode())
        return Record(key, fingerprint, None, f"batch: {told}" if status == 200 else f"batch: {status}: {told}")
    request = Request(**{name: value for name, value in task.items() if name not in ("key", "fingerprint")})
    try:
        answer, fault = wire.decode_completion(json.dumps(body).encode(), request)
    except ValueError as error:
        return Record(key, fingerprint, None, f"batch: {error}")
    cost = endpoint.cost(answer.prompt_tokens, answer.completion_tokens) if endpoint else 0.0
    tokens = (answer.prompt_tokens, answer.completion_tokens)
    return Record(
        key, fingerprint, None if fault else answer, f"batch: {fault}" if fault else "", 1, *tokens, cost, answer.model
    )


def _lines(path: Path, found: Imported) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise BatchError(f"{path} does not exist")
    with path.open("rb") as file:
        for raw in file:
            try:
                line = parse_json_text(raw)
            except ValueError:
                line = None
            if isinstance(line, dict):
                yield line
            else:
                found.unreadable += bool(raw.strip())  # a killed run leaves half a line
