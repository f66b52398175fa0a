r"""A manifest: one JSON object per line that names a picture (or several) and says what is known about it.

``{"image": "a/b.jpg", "tags": ["…"], "objects": [{"label": "car", "box": [x0, y0, x1, y1]}], "boxes": "pixels", …}``
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from mindgpt_data.corpus.base import BoxOrigin, Corpus, CorpusError, make_image_id
from mindgpt_data.schema.boxes import BoxConvention
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core.files import BYTE_ORDER_MARK, read_jsonl
from mindgpt_plugins.core.json_text import parse_json_text
from mindgpt_plugins.core.schema import Strict

Box = tuple[float, float, float, float]


class ManifestObject(Strict):
    """An object: its label, its box, and what else is known of it."""

    label: str = Field(min_length=1)
    box: Box
    attributes: dict[str, Any] = Field(default_factory=dict)


class Words(Strict):
    """A text that can be read in the picture."""

    text: str = Field(min_length=1)
    box: Box | None = None


class ManifestLine(Strict):
    """One line of a manifest."""

    image: str | list[str] = Field(description="Path from the manifest's folder, or absolute; several in order.")
    id: str | None = Field(None, min_length=1, description="Default: the path.")
    caption: str | None = None
    captions: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    objects: list[ManifestObject] = Field(default_factory=list)
    texts: list[Words] = Field(default_factory=list)
    boxes: BoxConvention | None = Field(None, description="Convention of this line's boxes; default: `images.boxes`.")
    source: str | None = Field(None, min_length=1)
    split: Literal["", "train", "dev", "test"] = ""
    group: str = ""
    video: list[str] = Field(default_factory=list)
    difficulty: float | None = Field(None, ge=0, le=1)

    @field_validator("texts", mode="before")
    @classmethod
    def _plain_texts(cls, value: Any) -> Any:
        return (
            [{"text": text} if isinstance(text, str) else text for text in value] if isinstance(value, list) else value
        )

    @field_validator("image", mode="after")
    @classmethod
    def _at_least_one(cls, value: str | list[str]) -> str | list[str]:
        if not value or not all(value):
            raise ValueError("name at least one picture")
        return value


def read_manifest(path: Path, source: str, boxes: str | None = None) -> Corpus:
    """Read a manifest; a line that does not fit is dropped with its number and the reason.

    Args:
        path: of the manifest.
        source: of every line that names none.
        boxes: convention of the boxes of every line that declares none; None: not known.

    Raises:
        CorpusError: the file cannot be read, or no line can be used.
    """
    corpus = Corpus()
    folder = path.resolve().parent
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                raw = raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw
                if raw.strip():
                    _add(corpus, raw, folder, source, boxes, f"{path.name} line {number}")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
    if not corpus.records:
        first = f"; the first problem is in {corpus.drops[0].key}: {corpus.drops[0].detail}" if corpus.drops else ""
        raise CorpusError(f"{path} has no usable line{first}")
    return corpus


def list_manifest_pictures(path: Path) -> Iterator[str]:
    """Every picture that a manifest names, as it is written there, without a look at anything else in its lines.

    Raises:
        FileError: the file is missing, or a line is no JSON object.
    """
    for _, line in read_jsonl(path):
        named = line.get("image")
        yield from (one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str))


def _add(corpus: Corpus, raw: bytes, folder: Path, source: str, boxes: str | None, place: str) -> None:
    try:
        line = ManifestLine.model_validate(parse_json_text(raw.decode("utf-8")))
    except UnicodeDecodeError as error:
        return corpus.drop("manifest", "not UTF-8", place, str(error))
    except ValidationError as error:  # a ValueError, like the JSON decoder's
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return corpus.drop("manifest", "line does not fit", place, problems)
    except ValueError as error:
        return corpus.drop("manifest", "not JSON", place, str(error))
    names = [line.image] if isinstance(line.image, str) else line.image
    paths = [folder / name for name in names]
    image = line.id or make_image_id(paths, folder)
    if line.objects or any(words.box for words in line.texts):
        corpus.boxes[image] = BoxOrigin(place, line.boxes or boxes)
    corpus.records.append(
        ImageRecord(
            image=image,
            paths=[str(p) for p in paths],
            width=0,
            height=0,
            content="",
            source=line.source or source,
            group=line.group,
            split=line.split,
            captions=[*([line.caption] if line.caption else []), *line.captions],
            tags=line.tags,
            objects=[_listed(thing.model_dump()) for thing in line.objects],
            texts=[_listed(words.model_dump()) for words in line.texts],
            video=line.video,
            difficulty=line.difficulty,
        )
    )


def _listed(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "box": None if data["box"] is None else list(data["box"])}
