"""Runs one reward function: sync or async, with a time limit and bounded concurrency.

A plain function without a time limit runs in the caller's thread, at no cost. Everything else is started on one event
loop per process (a daemon thread), so that a caller can start many and wait for them together. A plain function with a
time limit runs in a daemon thread of its own: Python cannot stop it, so one that hangs keeps its thread, but neither
the step nor the end of the process waits for it.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from mindgpt_plugins.rewards.per_process import PerProcess
from mindgpt_plugins.rewards.sdk import Group, Rollout


class Call:
    """A reward function with its options and limits.

    Args:
        function: takes the subject and the options; may be ``async``.
        options: its keyword arguments.
        timeout: seconds for one call, from when it really starts; None for no limit.
        concurrency: deferred calls under way at once in this process.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: Mapping[str, Any],
        timeout: float | None = None,
        concurrency: int = 16,
    ):
        self.function, self.options, self.timeout = function, options, timeout
        self.is_async = inspect.iscoroutinefunction(function)
        self._slots = asyncio.Semaphore(concurrency)

    @property
    def deferred(self) -> bool:
        """Does :meth:`start` return before the result is there?"""
        return self.is_async or self.timeout is not None

    def start(self, subject: Rollout | Group) -> Future[Any]:
        """Begin one call; whatever it raises is in the future."""
        if self.deferred:
            return asyncio.run_coroutine_threadsafe(self._limited(subject), _loop())
        done: Future[Any] = Future()
        try:
            done.set_result(self.function(subject, **self.options))
        except Exception as error:
            done.set_exception(error)
        return done

    async def _limited(self, subject: Rollout | Group) -> Any:
        async with self._slots:
            try:
                async with asyncio.timeout(self.timeout) as limit:
                    if self.is_async:
                        return await self.function(subject, **self.options)
                    return await asyncio.wrap_future(_in_thread(lambda: self.function(subject, **self.options)))
            except TimeoutError as error:
                if not limit.expired():  # its own, not ours
                    raise
                raise TimeoutError(f"took longer than its timeout of {self.timeout:g} s") from error


def _in_thread(work: Callable[[], Any]) -> Future[Any]:
    done: Future[Any] = Future()

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        if not done.set_running_or_notify_cancel():  # the time limit has given it up
            return
        if failure is None:
            done.set_result(result)
        else:
            done.set_exception(failure)

    threading.Thread(target=run, name="mindgpt-reward", daemon=True).start()
    return done


@PerProcess
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="mindgpt-rewards", daemon=True).start()
    return loop
