"""One picture of a corpus (or several that belong together) before anything is asked about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mindgpt_plugins.core.files import FileError


@dataclass(frozen=True)
class ImageRecord:
    """What is known of an image when the corpus is read.

    Attributes:
        image: its id, unique in the corpus: the path relative to the corpus folder, with ``/``.
        paths: absolute files, in the order they are shown; usually one. The first is the one that is scored and hashed.
        width: pixels, after EXIF rotation.
        height: pixels, after EXIF rotation.
        content: hash of the upright RGB pixels: equal pictures, equal hashes.
        source: where it comes from (``domain``, ``general``, …).
        group: records of one group stay in one split; default the content hash.
        split: ``train``, ``dev`` or ``test`` when the corpus fixes it, else empty.
        captions: texts that describe it.
        tags: short labels.
        objects: truth where a corpus has it: ``{"label": str, "box": [x0, y0, x1, y1] in pixels, "attributes": {…}}``.
        texts: texts that can be read in it: ``{"text": str, "box": […] or null}``.
        video: videos that belong to it; passed through unread.
        difficulty: grade in [0, 1] when the corpus brings one.
    """

    image: str
    paths: list[str]
    width: int
    height: int
    content: str
    source: str = "domain"
    group: str = ""
    split: str = ""
    captions: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    video: list[str] = field(default_factory=list)
    difficulty: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; the inverse of :meth:`from_json`."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any], place: str = "record") -> ImageRecord:
        """Build a record from JSON data.

        Raises:
            FileError: a field is missing or unknown.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise FileError(f"{place}: unknown field {unknown[0]!r}; an image record has: {', '.join(sorted(known))}")
        try:
            return cls(**data)
        except TypeError as error:
            raise FileError(f"{place}: {error}") from None
