"""COCO annotations (``images``, ``annotations``, ``categories``) beside their pictures: boxes, captions and texts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mindgpt_data.corpus.base import BoxOrigin, Corpus, CorpusError, make_image_id
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core.files import FileError, read_json


def read_coco_file(path: Path, source: str, boxes: str | None = None) -> Corpus:
    """Read a COCO file; pictures lie beside it or in its folder ``images``.

    ``bbox`` is a box of the convention ``coco`` unless another is declared, ``caption`` becomes a caption,
    ``utf8_string`` (COCO-Text) a text. An annotation that does not fit is dropped with its id.

    Args:
        path: of the file.
        source: of its records.
        boxes: convention of its boxes; None: ``coco``.

    Raises:
        CorpusError: unreadable, not JSON in UTF-8, no COCO file, or a COCO image id occurs twice.
    """
    data = _load(path)
    folder = path.resolve().parent
    corpus = Corpus()
    names = {c["id"]: str(c["name"]) for c in data.get("categories", []) if isinstance(c, dict) and "name" in c}
    records: dict[Any, ImageRecord] = {}
    for number, image in enumerate(data["images"]):
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
            corpus.drop(
                "coco", "image does not fit", f"images[{number}]", f"needs id and file_name; got {image!r:.200}"
            )
            continue
        if image["id"] in records:
            raise CorpusError(f"{path}: COCO image id {image['id']!r} occurs twice; ids are unique in a corpus")
        file = folder / image["file_name"]
        if not file.exists() and (folder / "images" / image["file_name"]).exists():
            file = folder / "images" / image["file_name"]
        records[image["id"]] = ImageRecord(make_image_id([file], folder), [str(file)], 0, 0, "", source=source)
    for number, annotation in enumerate(data.get("annotations", [])):
        problem = _annotate(annotation, records, names, boxes or "coco")
        if problem:
            key = (
                f"annotation {annotation.get('id', number)}" if isinstance(annotation, dict) else f"annotation {number}"
            )
            corpus.drop("coco", "annotation does not fit", key, problem)
    corpus.records = list(records.values())
    for record in corpus.records:
        if record.objects or record.texts:
            corpus.boxes[record.image] = BoxOrigin(f"{path.name} image {record.image}", boxes or "coco")
    if not corpus.records:
        raise CorpusError(f"{path} names no picture")
    return corpus


def _load(path: Path) -> dict[str, Any]:
    try:
        data = read_json(path)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
    except FileError as error:
        raise CorpusError(str(error)) from None
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        raise CorpusError(f"{path} is no COCO file: it needs a list `images`; a manifest ends with .jsonl")
    return data


def _annotate(annotation: Any, records: dict[Any, ImageRecord], names: dict[Any, str], convention: str) -> str:
    """Add one annotation to its record; returns what is wrong with it, or nothing."""
    record = records.get(annotation.get("image_id")) if isinstance(annotation, dict) else None
    if record is None:
        return f"it names no known image: {annotation!r:.200}"
    if isinstance(annotation.get("caption"), str):
        record.captions.append(annotation["caption"].strip())
        return ""
    box = annotation.get("bbox")
    fits = (
        isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) and math.isfinite(v) for v in box)
    )
    # A side of length 0 is a slip of the annotator, and common; it does not make the file one of another convention.
    if not fits or (convention in ("coco", "xywh") and min(box[2:]) <= 0):
        return f"bbox must be [x, y, width, height] with positive size, got {box!r}"
    numbers = [float(v) for v in box]
    if isinstance(annotation.get("utf8_string"), str):
        record.texts.append({"text": annotation["utf8_string"], "box": numbers})
        return ""
    if annotation.get("category_id") not in names:
        return f"category {annotation.get('category_id')!r} is not among `categories`"
    attributes = annotation.get("attributes")
    record.objects.append(
        {
            "label": names[annotation["category_id"]],
            "box": numbers,
            "attributes": {
                **(attributes if isinstance(attributes, dict) else {}),
                **({"crowd": True} if annotation.get("iscrowd") else {}),
            },
        }
    )
    return ""
