"""A model server on this machine for the time of a rehearsal, so that no endpoint is paid for unasked."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from mindgpt_plugins.core.files import read_json, write_json


def choose_server_address(folder: Path) -> str:
    """Base URL of the rehearsal's server: the same again when a rehearsal goes on, because stages are named by it."""
    known = folder / "server.json"
    if not known.is_file():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            write_json(known, {"port": free.getsockname()[1]})
    return f"http://127.0.0.1:{read_json(known)['port']}/v1"


@contextlib.contextmanager
def run_stub_server(url: str | None) -> Iterator[None]:
    """Answer at a URL of :func:`choose_server_address`; nothing when it is None."""
    if url is None:
        yield
        return
    from mindgpt_data.testing.stub import StubServer

    with StubServer(port=int(url.rpartition(":")[2].partition("/")[0])):
        yield
