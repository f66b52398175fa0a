"""Trains on a model's own chat template and processor, where LLaMA-Factory has no template that writes the same.

LLaMA-Factory 0.9.5 lays a conversation out by a named template and expands pictures by a plugin of its own. For several
families no name writes what the model's own files do: InternVL's line break after a picture is missing, LFM2-VL's marks
around it, Gemma 4's turn without thoughts, and LLaVA-OneVision and Idefics3 have no name at all. A model would be
trained on one markup and asked in another. Here is a template in the host's form (:class:`OwnTemplate`, with
:class:`OwnPlugin` for pictures) whose ids are those of the model's own processor, so that what is trained is what will
be asked, by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from llamafactory.data.mm_plugin import BasePlugin
from llamafactory.data.template import TEMPLATES, Template

from mindgpt_plugins.families import ModelFamily, PixelLimits, PromptFeatures, Thinking, find_family
from mindgpt_plugins.families.thinking import OPENED
from mindgpt_plugins.llamafactory_ext.settings import LlamaFactorySettingsError
from mindgpt_plugins.llamafactory_ext.template_choice import OWN
from mindgpt_plugins.llamafactory_ext.template_sides import split_media

TAG = "<image>"
"""Where a picture stands in a row's text."""


class OwnTemplateError(LlamaFactorySettingsError):
    """A row cannot be laid out by the model's own chat template; the message says why."""


def register_own_template(thinking: Thinking) -> None:
    """Let the host find the template under the name that :mod:`.template_choice` has for it.

    Args:
        thinking: how the chat template is switched.
    """
    plain = TEMPLATES["empty"]
    inherited = {one.name: getattr(plain, one.name) for one in fields(plain)}
    plugin = OwnPlugin(None, None, None, thinking=thinking)
    TEMPLATES[OWN] = OwnTemplate(**{**inherited, "mm_plugin": plugin, "thinking": thinking})


class Conversation(list[dict[str, str]]):
    """Messages of a row with what laying them out takes; the host hands it from the plugin to the template.

    Attributes:
        family: of the model.
        pictures: fitted, in the order of their tags.
    """

    family: ModelFamily | None
    pictures: list[Any]


@dataclass
class OwnPlugin(BasePlugin):  # type: ignore[misc]
    """Pictures as the model's own processor makes them."""

    thinking: Thinking = "model"

    def process_messages(
        self, messages: Sequence[Mapping[str, str]], images: Any, videos: Any, audios: Any, processor: Any
    ) -> Conversation:
        """The messages as they are, with their pictures beside them.

        Raises:
            OwnTemplateError: videos or sounds, or as many tags as there are not pictures.
        """
        if videos or audios:
            raise OwnTemplateError(
                "template: own lays out texts and pictures only; name a template for videos and sounds"
            )
        laid = Conversation({"role": one["role"], "content": one["content"]} for one in messages)
        tags = sum(one["content"].count(TAG) for one in laid)
        if tags != len(images):
            raise OwnTemplateError(f"a row has {tags} tags {TAG} and {len(images)} pictures")
        if images and processor is None:
            raise OwnTemplateError("a row has pictures, and the model has no processor")
        laid.family = _find_processor_family(processor, self.thinking) if processor is not None else None
        laid.pictures = self._fit(images, processor) if images else []
        return laid

    def process_token_ids(self, input_ids: Any, labels: Any, *_: Any) -> tuple[Any, Any]:
        """As they are: the processor has put the pictures in."""
        return input_ids, labels

    def get_mm_inputs(
        self,
        images: Any,
        videos: Any,
        audios: Any,
        imglens: Any,
        vidlens: Any,
        audlens: Any,
        batch_ids: Any,
        processor: Any,
    ) -> dict[str, Any]:
        """What the model gets beside the ids of a batch: its pictures in one call, token types from the ids."""
        import torch

        if processor is None:
            return {}
        features = _find_features(processor, self.thinking)
        rest, groups = self._fit(images, processor), []
        for count in imglens:
            groups.append(rest[:count])
            rest = rest[count:]
        found: dict[str, Any] = features.encode_groups([group for group in groups if group])
        for name in features.types:
            found[name] = [features.mark_tokens(torch.tensor(ids))[name].tolist() for ids in batch_ids]
        return found

    def _fit(self, images: Any, processor: Any) -> list[Any]:
        family = _find_processor_family(processor, self.thinking)
        limits = {f"image_{edge}_pixels": getattr(processor, f"image_{edge}_pixels") for edge in ("max", "min")}
        return list(self._regularize_images(images, **limits, family=family)["images"])

    def _preprocess_image(
        self, image: Any, image_max_pixels: int, image_min_pixels: int, family: ModelFamily, **_: Any
    ) -> Any:
        return family.fit_picture(image, PixelLimits(image_min_pixels, image_max_pixels))


@dataclass
class OwnTemplate(Template):  # type: ignore[misc]
    """The host's view of a model's own chat template."""

    thinking: Thinking = "model"

    def encode_oneturn(
        self, tokenizer: Any, messages: Any, system: str | None = None, tools: str | None = None
    ) -> tuple[list[int], list[int]]:
        """Ids of everything before the last reply, and of that reply."""
        return self._lay_out(tokenizer, messages, system, tools).encode_turn(len(messages) - 1)

    def encode_multiturn(
        self,
        tokenizer: Any,
        messages: Any,
        system: str | None = None,
        tools: str | None = None,
        discarding_history_cot: bool = False,
    ) -> list[tuple[list[int], list[int]]]:
        """Pairs of what is read and what is learned, turn by turn.

        An earlier reply is learned only where the last prompt holds it as it would have been written: templates that
        take thoughts out of the history show the model another text.
        """
        layout = self._lay_out(tokenizer, messages, system, tools)
        prompt, reply = layout.encode_turn(len(messages) - 1)
        pairs, read = [], 0
        for turn in range(1, len(messages) - 1, 2):
            before, said = layout.encode_turn(turn)
            end = len(before) + len(said)
            if prompt[:end] == before + said:
                pairs.append((prompt[read : len(before)], said))
                read = end
        return [*pairs, (prompt[read:], reply)]

    def fix_jinja_template(self, tokenizer: Any) -> None:
        """Nothing: the model has its own."""

    def _lay_out(self, tokenizer: Any, messages: Any, system: str | None, tools: str | None) -> Layout:
        if tools:
            raise OwnTemplateError("template: own does not lay out tools; name a template of LLaMA-Factory")
        family = getattr(messages, "family", None) or _find_processor_family(tokenizer, self.thinking)
        said = system or self.default_system
        return Layout(family, [dict(one) for one in messages], said, list(getattr(messages, "pictures", [])))


@dataclass
class Layout:
    """A conversation by a model's own chat template.

    Attributes:
        family: of the model.
        messages: user and assistant in turn.
        system: the system prompt; empty for the template's own.
        pictures: fitted, in the order of their tags.
    """

    family: ModelFamily
    messages: list[dict[str, str]]
    system: str
    pictures: list[Any]

    def encode_turn(self, turn: int) -> tuple[list[int], list[int]]:
        """Ids of the prompt of a reply, as it will be asked, and of the reply with the token that ends it.

        Args:
            turn: the reply's place in ``messages``.

        Raises:
            OwnTemplateError: a role that is neither, or a reply without the thought that its prompt opens.
        """
        if any(one["role"] not in ("user", "assistant") for one in self.messages):
            raise OwnTemplateError("template: own lays out user and assistant only; tool turns need a named template")
        head = [{"role": "system", "content": self.system}] if self.system else []
        chat: list[dict[str, Any]] = [
            *head,
            *({"role": one["role"], "content": split_media(one["content"])} for one in self.messages),
        ]
        before = chat[: len(head) + turn]
        asked = self.family.render_chat(before)
        count = sum(one["content"].count(TAG) for one in self.messages[:turn])
        return self._encode(asked, count), self._encode_reply(asked, self.messages[turn]["content"])

    def _encode(self, text: str, count: int) -> list[int]:
        if count:
            return [int(i) for i in self.family.encode([text], [self.pictures[:count]])["input_ids"][0]]
        begin = self.family.adds_special_tokens(text)
        return list(self.family.tokenizer(text, add_special_tokens=begin)["input_ids"])

    def _encode_reply(self, asked: str, reply: str) -> list[int]:
        tokenizer = self.family.tokenizer
        if asked.rstrip().endswith(OPENED):
            if not reply.lstrip().startswith(OPENED):
                raise OwnTemplateError(
                    "the model's prompt opens a thought, and a reply has none; set thinking: off, or write the thought"
                )
            reply = reply.lstrip().removeprefix(OPENED).lstrip("\n")
        close = find_turn_end(self.family)
        ids = list(tokenizer(reply.strip() + close, add_special_tokens=False)["input_ids"])
        # Not `all_special_ids`: of tokens beyond the named ones (Gemma's <end_of_turn>) it holds only some.
        if close and ids[-1] in tokenizer.added_tokens_decoder:
            return ids
        return [*ids, tokenizer.eos_token_id]


def find_turn_end(family: ModelFamily) -> str:
    """What a chat template writes after a reply: found behind a word, since templates change what replies hold."""
    word = "mindgpt"
    said = family.render_chat([{"role": "user", "content": "?"}, {"role": "assistant", "content": word}], ask=False)
    return said.rpartition(word)[2].rstrip()


@lru_cache(maxsize=4)
def _find_processor_family(processor: Any, thinking: Thinking) -> ModelFamily:
    return find_family(processor, thinking)


@lru_cache(maxsize=4)
def _find_features(processor: Any, thinking: Thinking) -> PromptFeatures:
    return PromptFeatures(_find_processor_family(processor, thinking))
