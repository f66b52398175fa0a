"""One model server: its key, its limits, its health; and the choice between several."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindgpt_data.client import wire
from mindgpt_data.client.pace import Pace
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_plugins.core.secrets import format_authorization, redact_key

if TYPE_CHECKING:
    import aiohttp

PATIENCE = 8
"""Failures in a row after which an endpoint is put aside."""
LONGEST_PAUSE = 60.0
"""Seconds an endpoint is put aside at most before one request probes it again."""
PROBES = 12
"""Fruitless probes of every endpoint after which the run stops: some eight minutes. An endpoint that never answered is
probed no more often than one task is tried (``max_attempts``): there is mostly nobody there."""
LONGEST_RETRY_AFTER = 3600.0
CUT, GAIN = 0.7, 0.25
"""What a 429 does to the requests allowed in flight (a factor), and an answer (a summand): the server's own limit is
found and followed, as TCP finds a line's."""


class EndpointError(ValueError):
    """No request can succeed: wrong key, no such model, nobody there. What was answered before is in the store."""


class Refused(ValueError):
    """The server will not have this request, now or later."""


class Trouble(ValueError):
    """This attempt failed; another may not."""


class Throttled(Trouble):
    """Too many requests at once: says nothing about this request, so that it does not use up one of its attempts."""


class EndpointState:
    """A server as one run sees it.

    Attributes:
        settings: of the endpoint.
        name: its URL as messages show it, without a password that may be in it.
        in_flight: requests under way.
        answered: whether it ever answered in this run.
        last_trouble: what went wrong last.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        scheme, _, rest = settings.base_url.partition("://")
        self.name = f"{scheme}://{rest.rpartition('@')[2]}"
        self.in_flight = 0
        self.answered = False
        self.last_trouble = ""
        self.requests = Pace(settings.requests_per_minute)
        self.tokens = Pace(settings.tokens_per_minute)
        self._url = settings.base_url.rstrip("/") + "/chat/completions"
        self._limit = float(settings.max_in_flight)
        self._cut = 0.0
        self._failures = 0
        self._probes = 0
        self._put_aside = 0.0
        self._until = 0.0

    @property
    def hopeless(self) -> bool:
        """Put aside and probed in vain too often."""
        return self._probes > (PROBES if self.answered else min(PROBES, self.settings.max_attempts))

    def pause(self) -> float:
        """Seconds until it may be asked again."""
        return max(0.0, self._until - time.monotonic())

    def room(self) -> int:
        """Requests it may be sent now; one only while it is on probation."""
        if self.pause():
            return 0
        return (1 if self._failures >= PATIENCE else int(self._limit)) - self.in_flight

    async def post(self, session: aiohttp.ClientSession, body: bytes, tokens: int) -> bytes:
        """Send one request, as soon as the rate limits allow.

        Args:
            session: of the run.
            body: from :func:`mindgpt_data.client.wire.encode_request`.
            tokens: estimate to reserve.

        Raises:
            Throttled: 429, while fewer requests in flight may help.
            Trouble: timeout, connection, 408, 409, another 429, 5xx.
            Refused: another 4xx.
            EndpointError: nothing will ever succeed here.
        """
        import aiohttp

        await self.requests.wait()
        await self.tokens.wait(tokens)
        started = time.monotonic()
        key = self._key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": format_authorization(key)} if key else {})
        timeout = aiohttp.ClientTimeout(total=self.settings.timeout)
        try:
            async with session.post(self._url, data=body, headers=headers, timeout=timeout) as response:
                content = await response.read()
        except TimeoutError as error:
            raise self._trouble(f"no answer within {self.settings.timeout:g} s", started) from error
        except (aiohttp.ClientError, OSError) as error:
            told = redact_key(f"{type(error).__name__}: {error}".encode(), key)
            raise self._trouble(wire.shorten_message(told), started) from None
        content = redact_key(content, key)
        if response.status == 200:
            self.answered, self._failures, self._probes = True, 0, 0
            self._limit = min(self._limit + GAIN, self.settings.max_in_flight)
            return content
        raise self._error(response.status, content, response.headers.get("Retry-After"), started)

    def _error(self, status: int, content: bytes, after: str | None, started: float) -> ValueError:
        message = f"{status}: {wire.find_error_message(content) or 'no message'}"
        if wire.is_fatal_error(status, content, self.answered):
            return EndpointError(f"{self.name} refuses every request with {message}{self._hint(status)}")
        if not wire.is_worth_repeating(status, content):
            return Refused(message)
        throttled = status == 429 and self._limit > 1
        if throttled and started >= self._cut:  # once for all that were sent together
            self._limit, self._cut = max(1.0, self._limit * CUT), time.monotonic()
        seconds = wire.parse_retry_after(after)
        if seconds is not None and seconds > LONGEST_RETRY_AFTER:
            return EndpointError(f"{self.name} asks to come back in {seconds / 3600:.1f} h ({message})")
        if seconds is not None:
            self._until = max(self._until, time.monotonic() + seconds)
        if throttled:
            self.last_trouble = message
            return Throttled(f"{self.name}: {message}")
        return self._trouble(message, started)

    def _hint(self, status: int) -> str:
        name = self.settings.api_key_env
        if status in (401, 403):
            return f"; check the key in ${name}" if name else "; set api_key_env to the variable that holds its key"
        if status == 404:
            return f"; check base_url (it mostly ends in /v1) and model {self.settings.model!r}"
        return ""

    def _trouble(self, message: str, started: float) -> Trouble:
        """Count a failure; enough of them in a row put the endpoint aside, twice as long each time."""
        self.last_trouble = message
        if started >= self._put_aside:  # else it was sent before and says nothing new
            self._failures += 1
            if self._failures >= PATIENCE:
                self._put_aside = time.monotonic()
                self._until = max(self._until, self._put_aside + min(LONGEST_PAUSE, 2.0**self._probes))
                self._probes += 1
        return Trouble(f"{self.name}: {message}")

    def _key(self) -> str | None:
        """The API key, read from the environment for each request and kept nowhere."""
        name = self.settings.api_key_env
        if name is None:
            return None
        key = os.environ.get(name, "").strip()
        if not key:
            raise EndpointError(f"the environment variable {name} (api_key_env) is not set; it must hold the key")
        return key


class Pool:
    """Several servers of the same role: they share the load, and stand in for each other."""

    def __init__(self, settings: Sequence[EndpointSettings]) -> None:
        self.endpoints = [EndpointState(one) for one in settings]
        self._freed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return sum(endpoint.in_flight for endpoint in self.endpoints)

    async def take(self, avoid: EndpointState | None = None) -> EndpointState:
        """The freest healthy endpoint, preferably not ``avoid``; hand it back with :meth:`release`.

        Raises:
            EndpointError: all have been silent for minutes.
        """
        while not (free := [endpoint for endpoint in self.endpoints if endpoint.room() > 0]):
            if all(endpoint.hopeless for endpoint in self.endpoints):
                told = "; ".join(f"{e.name}: {e.last_trouble}" for e in self.endpoints)
                if not any(endpoint.answered for endpoint in self.endpoints):
                    raise EndpointError(f"no request has been answered yet: {told}; is the server running?")
                raise EndpointError(f"no endpoint has answered for minutes: {told}; run again when one is back")
            pauses = [pause for endpoint in self.endpoints if (pause := endpoint.pause())]
            self._freed.clear()
            try:
                await asyncio.wait_for(self._freed.wait(), min(pauses, default=None))
            except TimeoutError:
                continue  # a pause is over
        chosen = min(free, key=lambda e: (e is avoid, e.requests.delay() + e.tokens.delay(), -e.room()))
        chosen.in_flight += 1
        return chosen

    def release(self, endpoint: EndpointState) -> None:
        """The request is over."""
        endpoint.in_flight -= 1
        self._freed.set()
