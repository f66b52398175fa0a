"""The two sides of a comparison of chat templates: LLaMA-Factory's and the model's own, each by its own code."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.dataset_files import (
    INFO,
    DatasetError,
    pick_even_positions,
    read_dataset_info,
    read_set_info,
    read_set_rows,
)
from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.families import FamilyError, Thinking, find_family, list_template_switches, load_processor

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA = {"<image>": "image", "<video>": "video"}
PLAIN_ROLES = {"user", "assistant"}


class TemplateError(ValueError):
    """Nothing can be compared: no such template, file or rows, or a row that the model's own template refuses."""


class HostRefusal(ValueError):
    """The host cannot lay out a row by the named template."""


@dataclass(frozen=True)
class ConvertedRow:
    """A conversation as the host's converter makes it."""

    place: str
    messages: list[dict[str, str]]
    system: str
    images: list[Any]
    videos: list[Any]


def split_media(text: str) -> list[dict[str, str]]:
    """A turn's text as parts, a picture or video where its tag stands."""
    parts: list[dict[str, str]] = []
    while text:
        at, mark = min(((text.find(m), m) for m in MEDIA if m in text), default=(len(text), ""))
        if at:
            parts.append({"type": "text", "text": text[:at]})
        if mark:
            parts.append({"type": MEDIA[mark]})
        text = text[at + len(mark) :]
    return parts


def make_blanks(row: ConvertedRow) -> list[Image]:
    """A small picture for each of a row's: how many tokens a larger one has is its size's business."""
    from PIL import Image as Pillow

    return [Pillow.new("RGB", (64, 64)) for _ in row.images]


class HostTemplate:
    """A named template of LLaMA-Factory; the host changes the tokenizer it is given."""

    def __init__(self, name: str, own: Own, default_system: str | None, thinking: Thinking):
        from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
        from llamafactory.hparams import DataArguments

        if name not in TEMPLATES:
            raise TemplateError(f"LLaMA-Factory has no template {name!r}{hint_nearest(name, TEMPLATES)}")
        self.tokenizer, self.processor = copy.deepcopy(own.tokenizer), own.processor
        switches = list_template_switches(thinking)
        arguments = DataArguments(template=name, default_system=default_system, **switches)
        shipped = TEMPLATES[name]
        TEMPLATES[name] = copy.deepcopy(shipped)  # the host writes its arguments into it
        try:
            self.template = get_template_and_fix_tokenizer(self.tokenizer, arguments)
        finally:
            TEMPLATES[name] = shipped
        self.plugin = self.template.mm_plugin
        self.empty_thought = self.template.add_thought()

    def render(self, row: ConvertedRow, system: str | None = None) -> list[int]:
        """Prompt and reply ids as the host trains on them; raises as :meth:`render_sides`."""
        prompt, reply = self.render_sides(row, system)
        return prompt + reply

    def render_sides(self, row: ConvertedRow, system: str | None = None) -> tuple[list[int], list[int]]:
        """Ids before the last reply, and the reply's, which are learned.

        Raises:
            HostRefusal: e.g. a picture for a template without eyes.
        """
        try:
            if row.videos:  # no frame has to be read: a placeholder each
                plugin, images = dataclasses.replace(self.plugin, expand_mm_tokens=False), row.images
            else:
                plugin, images = self.plugin, make_blanks(row)
            turns = plugin.process_messages(row.messages, images, row.videos, [], self.processor)
            pairs = self.template.encode_multiturn(self.tokenizer, turns, system or row.system or None, None)
        except Exception as error:  # noqa: BLE001 - a plugin meant for another family raises what its assumptions meet
            raise HostRefusal(f"cannot render it: {error}") from None
        *before, (last, reply) = pairs
        prompt, learned = [token for pair in before for side in pair for token in side] + list(last), list(reply)
        if None in prompt or None in learned:
            raise HostRefusal("cannot render it: the template writes tokens that the model's tokenizer does not have")
        return prompt, learned

    def decode(self, ids: list[int]) -> str:
        """Text with special tokens."""
        return _decode(self.tokenizer, ids)


class Own:
    """The model's tokenizer and chat template."""

    def __init__(self, folder: str, thinking: Thinking = "model"):
        from transformers import AutoConfig

        self.renderer = load_processor(folder)
        self.tokenizer = getattr(self.renderer, "tokenizer", self.renderer)
        self.processor = self.renderer if self.renderer is not self.tokenizer else None
        self.model_type = str(AutoConfig.from_pretrained(folder).model_type)
        try:
            self.family = find_family(self.renderer, thinking)
        except FamilyError as error:
            raise TemplateError(f"{folder}: {error}") from None

    def render(self, row: ConvertedRow, system: str | None = None) -> list[int]:
        """Ids of the whole conversation."""
        return self._ids(row, self._chat(row, row.messages, system), ask=False)

    def switch(self, thinking: Thinking) -> Own:
        """The same, its chat template switched otherwise."""
        other = copy.copy(self)
        other.family = dataclasses.replace(self.family, thinking=thinking)
        return other

    def render_prompt(self, row: ConvertedRow, system: str | None = None) -> tuple[list[int], int]:
        """Ids of what the last reply is generated from, and how many of them stand before the model's turn."""
        chat = self._chat(row, row.messages[:-1], system)
        return self._ids(row, chat, ask=True), len(self._ids(row, chat, ask=False))

    def _chat(self, row: ConvertedRow, messages: list[dict[str, str]], system: str | None) -> list[dict[str, Any]]:
        said = system or row.system
        head = [{"role": "system", "content": self._cut(said)}] if said else []
        return [*head, *({"role": one["role"], "content": self._cut(one["content"])} for one in messages)]

    def _cut(self, text: str) -> Any:
        return text if self.processor is None else split_media(text)

    def _ids(self, row: ConvertedRow, chat: list[dict[str, Any]], ask: bool) -> list[int]:
        from jinja2 import TemplateError as JinjaError

        try:
            text = self.family.render_chat(chat, ask=ask)
        except JinjaError as error:
            raise TemplateError(f"the model's chat template cannot render {chat}: {error}") from None
        blanks = make_blanks(row) if self.processor is not None and not row.videos else []
        if blanks:
            return [int(i) for i in self.family.encode([text], [blanks])["input_ids"][0]]
        ids: list[int] = self.tokenizer(text, add_special_tokens=self.family.adds_special_tokens(text))["input_ids"]
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text with special tokens."""
        return _decode(self.tokenizer, ids)


def find_listed_set(file: Path) -> str:
    """Name under which ``dataset_info.json`` beside a file, or a folder of parts, lists it.

    Raises:
        TemplateError: it does not, or there is no such file.
    """
    try:
        listed = read_dataset_info(file.parent)
    except DatasetError as error:
        raise TemplateError(str(error)) from None
    names = [
        name for name, one in listed.items() if (file.parent / one.get("file_name", "")).resolve() == file.resolve()
    ]
    if not names or not file.exists():
        what = "no such file" if names else f"no set of {file.parent / INFO} has this file_name"
        raise TemplateError(f"{file}: {what}")
    return names[0]


def read_template_rows(folder: Path, name: str, most: int) -> list[ConvertedRow]:
    """Rows of a set, evenly over its file, converted by the host; rows with tool calls are left out.

    Args:
        folder: with the ``dataset_info.json`` that lists the set.
        name: of the set.
        most: rows at most.

    Raises:
        TemplateError: the set is not listed, cannot be read, or no row can be compared.
    """
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.loader import get_dataset_list
    from llamafactory.hparams import DataArguments

    try:
        info = read_set_info(folder, name)
        total = sum(1 for _ in read_set_rows(folder, name))
        chosen = pick_even_positions(total, most)
        rows = [row for row in read_set_rows(folder, name) if row.number in chosen]
    except DatasetError as error:
        raise TemplateError(str(error)) from None
    attribute = get_dataset_list([name], {name: dict(info.entry)})[0]
    convert = get_dataset_converter(attribute.formatting, attribute, DataArguments(media_dir=str(folder)))
    # A column that only some rows of a JSON file have is null in the others, once the host has loaded it.
    blank = dict.fromkeys(info.columns.values())
    kept = []
    for raw in rows:
        row = convert(blank | raw.data)
        messages = [*row["_prompt"], *row["_response"][:1]]
        if messages and not row["_tools"] and {one["role"] for one in messages} <= PLAIN_ROLES:
            media = row["_images"] or [], row["_videos"] or []
            kept.append(ConvertedRow(raw.place, messages, row["_system"] or "", *media))
    if not kept:
        raise TemplateError(f"set {name!r}: none of its {total} rows is a plain conversation (no tools) to compare")
    return kept


def _decode(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
