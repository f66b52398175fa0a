"""One connection of this process to a model server, for rewards that ask it about one reply at a time.

:func:`mindgpt_data.client.run.ask_all` asks many things at once: it stores every answer in SQLite before it counts,
keeps rate limits, retries with backoff, honours Retry-After and moves between endpoints. Here a thread runs one such
call for as long as questions come, so that rewards of many replies share its limits and its store. Equal questions
under way are asked once; a killed run pays for none of them again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.rewards.per_process import PerProcess

if TYPE_CHECKING:
    from mindgpt_data.client.request import Task
    from mindgpt_data.schema.config import EndpointSettings

IDLE = 30.0
"""Seconds without a question after which the connection is closed; the next question opens it again."""


class JudgeClientError(RuntimeError):
    """A question got no valid answer; the message says why and what to do."""


class _Questions:
    """An iterator that waits for its next task; it ends when none comes for a while, or on :meth:`stop`."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
        self.put = self._queue.put

    def __iter__(self) -> _Questions:
        return self

    def __next__(self) -> Task[Any]:
        try:
            task = self._queue.get(timeout=IDLE)
        except queue.Empty:
            raise StopIteration from None
        if task is None:
            self.stop()  # the next feeder ends too
            raise StopIteration
        return task

    def stop(self) -> None:
        """No more tasks (any thread)."""
        self.put(None)


class JudgeClient:
    """See the module's docstring.

    Args:
        step: names these questions in the store.
        store: SQLite file of answers.
        endpoints: servers that share the load.
    """

    def __init__(self, step: str, store: Path, endpoints: Sequence[EndpointSettings]):
        self.step, self.store, self.endpoints = step, store, endpoints
        self._questions = _Questions()
        self._pending: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()
        self._running = False

    def ask(self, task: Task[Any]) -> Future[Any]:
        """The value of a task, once its answer is in the store; or :class:`JudgeClientError`."""
        with self._lock:
            found = self._pending.get(task.key)
            if found is None:
                found = self._pending[task.key] = Future()
                found.set_running_or_notify_cancel()  # shared: no single caller may cancel it
                self._questions.put(task)
                if not self._running:
                    self._running = True
                    threading.Thread(target=self._run, name=f"ask-{self.step}", daemon=True).start()
        return found

    def _run(self) -> None:
        """Thread: answer questions until none comes for a while, or the servers fail."""
        while True:
            try:
                self._answer()
            except Exception as error:
                self._fail(JudgeClientError(self._advice(f"{type(error).__name__}: {error}")))
                return
            with self._lock:
                if not self._pending:
                    self._running = False
                    return  # else one came in at the last moment and is in the queue

    def _answer(self) -> None:
        from mindgpt_data.client.request import Done
        from mindgpt_data.client.run import ask_all

        for outcome in ask_all(self._questions, step=self.step, store=self.store, endpoints=self.endpoints):
            with self._lock:
                future = self._pending.pop(outcome.key)
            if isinstance(outcome, Done):
                future.set_result(outcome.value)
            else:
                future.set_exception(JudgeClientError(self._advice(f"{outcome.error} ({outcome.attempts} attempts)")))

    def _fail(self, failure: JudgeClientError) -> None:
        with self._lock:
            failed, self._pending, self._running = list(self._pending.values()), {}, False
            self._questions = _Questions()
        for future in failed:
            future.set_exception(failure)

    def _advice(self, problem: str) -> str:
        servers = ", ".join(f"{one.model} at {one.base_url}" for one in self.endpoints)
        return (
            f"{problem}. Asked: {servers}. Answers so far are kept in {self.store}; check the server and start the "
            "same command again, or let the reward not score such replies with `on_error: none`"
        )


def get_judge_client(step: str, store: Path, endpoints: Sequence[EndpointSettings]) -> JudgeClient:
    """The connection of this process for these servers and this store."""
    return _asker(step, store, tuple(one.model_dump_json() for one in endpoints))


@PerProcess
def _asker(step: str, store: Path, endpoints: tuple[str, ...]) -> JudgeClient:
    from mindgpt_data.schema.config import EndpointSettings

    return JudgeClient(step, store, [EndpointSettings.model_validate_json(one) for one in endpoints])
