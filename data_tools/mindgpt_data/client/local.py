"""Asks from this process: feeders, an asyncio loop and a writer.

Three kinds of threads, so that the caller stays synchronous and nobody waits for another:

* feeders draw tasks, look in the store, and build the requests that must be sent (images are encoded here);
* an asyncio loop sends them (:mod:`mindgpt_data.client.sender`);
* a writer commits outcomes to the store and only then hands them to the caller.

Two semaphores bound how many tasks are anywhere between these, so memory does not grow with their number.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from mindgpt_data.client import wire
from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.client.sender import PendingTask, Sender
from mindgpt_data.client.spend import estimate_request_tokens
from mindgpt_data.client.store import Record, Store
from mindgpt_data.client.tally import Tally
from mindgpt_data.schema.config import EndpointSettings

T = TypeVar("T")
FEEDERS = 2
"""Threads that build requests: encoding images releases the interpreter lock, so two keep two cores busy."""


def ask_from_here(
    tasks: Iterable[Task[T]], *, step: str, store: Path, endpoints: Sequence[EndpointSettings], tally: Tally
) -> Iterator[Done[T] | Failed]:
    """:func:`mindgpt_data.client.run.ask_all` in this process, counting into ``tally``."""
    run = _Run(iter(tasks), step, store, endpoints, tally)
    try:
        yield from run.outcomes()
    finally:
        run.close()


class _Run(Generic[T]):
    """One call of :func:`ask_all`."""

    def __init__(
        self, tasks: Iterator[Task[T]], step: str, path: Path, endpoints: Sequence[EndpointSettings], tally: Tally
    ) -> None:
        Store(path).close()  # fails here, in the caller's thread, when it cannot be used
        self.tasks, self.step, self.path, self.tally = tasks, step, path, tally
        self.sender: Sender[T] = Sender(endpoints, self._deliver)
        # Two bounds: requests hold images, so few wait to be sent; answers are small, so a slow disk may lag behind.
        self.unanswered = threading.Semaphore(2 * self.sender.workers + 32)
        self.untaken = threading.Semaphore(16 * self.sender.workers + 256)
        self.lock = threading.Lock()
        self.under_way: set[str] = set()
        self.drawn, self.feeding, self.stopping = 0, FEEDERS, False
        self.unsaved: queue.SimpleQueue[tuple[Record, Done[T] | Failed] | None] = queue.SimpleQueue()
        self.finished: queue.SimpleQueue[list[Done[T] | Failed] | BaseException] = queue.SimpleQueue()
        self.sending = threading.Thread(target=self._send, name="ask-sender", daemon=True)
        self.writing = threading.Thread(target=self._write, name="ask-writer", daemon=True)
        self.feeders = [threading.Thread(target=self._feed, name="ask-feeder", daemon=True) for _ in range(FEEDERS)]

    def outcomes(self) -> Iterator[Done[T] | Failed]:
        """Start the threads and hand on what they finish, in the caller's thread."""
        for thread in (self.sending, self.writing, *self.feeders):
            thread.start()
        taken = 0
        while self.feeding or taken < self.drawn:
            self.tally.show(self.sender.pool.in_flight)
            try:
                batch = self.finished.get(timeout=0.25)
            except queue.Empty:
                continue
            if isinstance(batch, BaseException):
                raise batch
            for outcome in batch:
                taken += 1
                self.under_way.discard(outcome.key)
                self.untaken.release()
                self.tally.count(outcome)
                yield outcome
        self.tally.show(0, last=True)

    def close(self) -> None:
        """Stop everything; answers that have arrived are still committed."""
        self.stopping = True
        if hasattr(self.tasks, "stop"):
            self.tasks.stop()
        self.sender.stop()
        self.sending.join()
        for _ in self.feeders:
            self._let_in()
        for feeder in self.feeders:
            feeder.join(10)  # a task iterator that blocks for ever keeps its (daemon) thread, not us
        self.unsaved.put(None)
        self.writing.join()

    def _feed(self) -> None:
        """Thread: draw tasks, replay or build them."""
        try:
            with Store(self.path) as stored:
                while (task := self._draw()) is not None:
                    self._prepare(task, stored)
        except BaseException as error:
            self.finished.put(error)
        finally:
            with self.lock:
                self.feeding -= 1
            self._let_in()  # the next feeder sees the end too
            self.finished.put([])

    def _let_in(self) -> None:
        self.untaken.release()
        self.unanswered.release()

    def _draw(self) -> Task[T] | None:
        self.untaken.acquire()
        self.unanswered.acquire()
        with self.lock:
            if self.stopping or (task := next(self.tasks, None)) is None:
                return None
            if task.key in self.under_way:
                raise ValueError(f"{self.step}: two tasks have the key {task.key!r}; keys are unique in a step")
            self.under_way.add(task.key)
            self.drawn += 1
            return task

    def _prepare(self, task: Task[T], stored: Store) -> None:
        answer = stored.find(self.step, task.key, task.fingerprint)
        if answer is not None:
            try:
                self.finished.put([Done(task.key, task.parse(answer), answer, stored=True)])
                self.unanswered.release()
                return
            except ValueError:
                pass  # its parser has become stricter since: ask again
        try:
            request = task.build()
            messages = wire.encode_messages(request)
        except (ValueError, OSError) as error:
            told = wire.shorten_message(f"the request cannot be built: {error}")
            record = Record(task.key, task.fingerprint, None, told, attempts=0)
            self._deliver(record, Failed(task.key, told, 0))
            return
        tokens = estimate_request_tokens(request) if self.sender.counts_tokens else 0
        item = PendingTask(task, request, messages, tokens)
        if not self.stopping:
            self.sender.submit(item)

    def _deliver(self, record: Record, outcome: Done[T] | Failed) -> None:
        self.tally.spend(record.cost)
        self.unsaved.put((record, outcome))
        self.unanswered.release()

    def _send(self) -> None:
        """Thread: the asyncio loop."""
        try:
            self.sender.run()
        except BaseException as error:
            self.finished.put(error)

    def _write(self) -> None:
        """Thread: commit what has come in since the last commit, then hand it on."""
        try:
            with Store(self.path) as store:
                last = False
                while not last:
                    batch = [self.unsaved.get()]
                    while not self.unsaved.empty():
                        batch.append(self.unsaved.get())
                    outcomes = [one for one in batch if one is not None]
                    last = len(outcomes) < len(batch)
                    store.save(self.step, (record for record, _ in outcomes))
                    self.finished.put([outcome for _, outcome in outcomes])
        except BaseException as error:
            self.finished.put(error)
