"""A small batch of rows with real pictures, and an ``ask`` that answers from a function instead of a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mindgpt_data.client.request import Answer, Done, Failed, Request
from mindgpt_data.gates.batch import Batch
from mindgpt_data.io.images import hash_rgb_pixels
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_data.steps.filter import make_gate_item
from PIL import Image

Reply = Callable[[Request], "list[str] | Answer | Exception"]


def row(uid: str, image: str = "a.png", **changes: Any) -> Row:
    fields: dict[str, Any] = {
        "question": f"How many wheels has vehicle {uid}?", "answer": "4", "response": "answer: 4",
        "answer_type": "number", "source": "domain", "capability": "perception.count",
    }  # fmt: skip
    return Row(uid=uid, image=[image], **fields | changes)


def noise(size: tuple[int, int] = (64, 64), seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def record(folder: Path, name: str, colour: int = 0, **more: Any) -> ImageRecord:
    image = noise((48, 32)) if colour < 0 else Image.new("RGB", (48, 32), (colour, 9, 9))
    image.save(folder / name)
    return ImageRecord(name, [str(folder / name)], 48, 32, hash_rgb_pixels(image), **more)


def batch(folder: Path, rows: list[Row], reply: Reply | None = None, **settings: Any) -> Batch:
    names = dict.fromkeys(image for one in rows for image in one.image)
    records = {name: record(folder, name, colour) for colour, name in enumerate(names)}
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "m", **settings.pop("endpoint", {})}
    found = DataSettings.model_validate(
        {"images": {"path": str(folder)}, "endpoints": {"teacher": [endpoint]}, **settings}
    )
    items = [make_gate_item(one, records, 10_000) for one in rows]
    return Batch(items, records, found, folder, ask=Scripted(reply))


class Scripted:
    """Answers each request with what ``reply`` gives: texts, a whole answer, or an error that fails the task."""

    def __init__(self, reply: Reply | None) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self.keys: list[str] = []

    def __call__(self, tasks: Any, *, role: str, total: int | None = None) -> Any:
        made = list(tasks)
        for task in reversed(made):  # outcomes come in any order
            request = task.build()
            self.requests.append(request)
            self.keys.append(task.key)
            said = self.reply(request) if self.reply else []
            if isinstance(said, Exception):
                yield Failed(task.key, str(said), 3)
                continue
            answer = said if isinstance(said, Answer) else Answer(tuple(said))
            try:
                yield Done(task.key, task.parse(answer), answer)
            except ValueError as error:
                yield Failed(task.key, str(error), 1)


def text_of(request: Request) -> str:
    return next(part["text"] for part in request.messages[0]["content"] if part["type"] == "text")


def pictures_in(request: Request) -> int:
    return sum(part["type"] == "image_url" for part in request.messages[0]["content"])
