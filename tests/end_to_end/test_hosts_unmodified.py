"""The hosts that did the training are the ones that were installed: every file still has its wheel's hash."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("host", ["verl", "llamafactory", "transformers", "transferqueue"])
def test_installed_files_match_their_record(host: str) -> None:
    files = metadata.distribution(host).files
    assert files
    checked, changed = 0, []
    for file in files:
        if file.hash is None or file.suffix == ".pyc":
            continue
        path = file.locate()
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        checked += 1
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
    assert checked > 30
    assert not changed
