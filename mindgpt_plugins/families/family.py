"""How one model wants to be asked: its pictures, its text, its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.families.errors import FamilyError
from mindgpt_plugins.families.loading import load_processor, load_tokenizer
from mindgpt_plugins.families.pictures import PixelLimits, compute_fitted_size, fit_picture
from mindgpt_plugins.families.settings import has_vision, read_area_rule
from mindgpt_plugins.families.thinking import CLOSED, OPENED, SWITCH, Thinking, list_template_switches

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA_IDS = re.compile(r"(?:image|video|audio|vision|boi|eoi|boa|eoa).*_token_(?:id|index)")
"""Keys of a configuration that name tokens which only a processor may write."""


@dataclass(frozen=True)
class ModelFamily:
    """A model's processor and what calls of it need; found by :func:`find_family`.

    Attributes:
        processor: of the model; a tokenizer where the model has no vision part.
        tokenizer: the processor's.
        sees: whether there is an image processor.
        thinking: how its chat template is switched.
        by_area: whether the image processor takes its limits as areas (Qwen-VL, GLM-V): such processors take the
            pictures of a batch as one flat list, all others as one list per prompt.
    """

    processor: Any
    tokenizer: Any
    sees: bool
    by_area: bool
    thinking: Thinking = "model"

    def render_chat(
        self, messages: Sequence[Mapping[str, Any]], *, ask: bool = True, thinking: Thinking | None = None
    ) -> str:
        """A conversation through the model's own chat template, one placeholder per picture.

        Args:
            messages: turns; ``content`` is a text, or parts ``{"type": "image"}`` and ``{"type": "text", "text": …}``.
            ask: whether the model's turn is opened at the end.
            thinking: another switch than the family's.

        Raises:
            FamilyError: pictures for a model that has no vision part.
        """
        turns = [{"role": turn["role"], "content": self.lay_out_content(turn["content"])} for turn in messages]
        # Of a template that has no switch, processors would say at each call that they do not know the word.
        switches = (
            list_template_switches(thinking or self.thinking) if SWITCH in str(self.processor.chat_template) else {}
        )
        text: str = self.processor.apply_chat_template(turns, add_generation_prompt=ask, tokenize=False, **switches)
        return text

    def lay_out_content(self, content: Any) -> Any:
        """A turn's text or parts as the chat template reads them: parts for a model that sees, else a text.

        Raises:
            FamilyError: pictures for a model that has no vision part.
        """
        # Templates of vision-language models may drop text that is no part (LLaVA-OneVision's do), and those of text
        # models cannot join parts.
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if self.sees:
            return parts
        if any(part["type"] != "text" for part in parts):
            raise FamilyError(
                "the prompt has a picture, and the model has no vision part; name a vision-language model, or take the "
                "pictures out"
            )
        return "".join(part["text"] for part in parts)

    def adds_special_tokens(self, text: str) -> bool:
        """Whether the tokenizer must add its begin token to a rendered text: not where the template has written it.

        The rule is that of transformers' ``ProcessorMixin.apply_chat_template``; a tokenizer's own never adds any.
        """
        bos = self.tokenizer.bos_token
        return self.sees and not (bos and text.startswith(bos))

    def drop_begin(self, text: str) -> str:
        """The text for an engine that tokenises by itself and adds a begin token whatever the text begins with."""
        bos = self.tokenizer.bos_token
        adds = bos and self.tokenizer("")["input_ids"][:1] == [self.tokenizer.bos_token_id]
        return text.removeprefix(bos) if adds else text

    def find_thinking_problem(self) -> str | None:
        """Why the chat template cannot be switched as asked; None where it can."""
        if self.thinking == "model":
            return None
        question = [{"role": "user", "content": "?"}]
        on, off = (self.render_chat(question, thinking=one) for one in ("on", "off"))
        if on != off:
            return None
        opens = on.rstrip().endswith(OPENED)
        if opens == (self.thinking == "on") or (self.thinking == "off" and on.rstrip().endswith(CLOSED)):
            return None
        return (
            f"thinking: {self.thinking}, but the model's chat template has no switch ({SWITCH}) and "
            f"{'always opens a thought' if opens else 'never opens one'}; set thinking: model, or take a model that "
            "has the switch"
        )

    def fit_picture(self, image: Image, limits: PixelLimits) -> Image:
        """A picture as the processor gets it in training; see :mod:`mindgpt_plugins.families.pictures`."""
        return fit_picture(image, limits, by_area=self.by_area)

    def compute_fitted_size(self, width: int, height: int, limits: PixelLimits) -> tuple[int, int]:
        """Width and height of :meth:`fit_picture`'s result."""
        return compute_fitted_size(width, height, limits, by_area=self.by_area)

    def encode(self, texts: Sequence[str], pictures: Sequence[Sequence[Image]], **options: Any) -> dict[str, Any]:
        """Texts with their pictures as the model's inputs.

        Args:
            texts: of :meth:`render_chat`, all of the same template.
            pictures: per text, fitted by :meth:`fit_picture`. Either all texts have some or none, unless the processor
                is ``by_area``: other processors pair lists with texts and have no word for an empty one.
            options: of the processor: padding, kind of tensors.
        """
        options["add_special_tokens"] = all(map(self.adds_special_tokens, texts))
        if any(pictures):
            flat = [picture for own in pictures for picture in own]
            options["images"] = flat if self.by_area else [list(own) for own in pictures]
        return dict(self.processor(text=list(texts), **options))

    def list_stop_ids(self, generation_config: Any) -> list[int]:
        """Token ids that end a reply: the generation config's (Gemma's ``<end_of_turn>``) and the tokenizer's.

        Raises:
            FamilyError: there are none.
        """
        found = generation_config.eos_token_id
        ids = set(found if isinstance(found, list) else [found]) | {self.tokenizer.eos_token_id}
        ids.discard(None)
        if not ids:
            raise FamilyError("neither the generation config nor the tokenizer names an end token; set eos_token_id")
        return sorted(int(i) for i in ids)

    def list_banned_ids(self, config: Any, stop: Sequence[int]) -> list[int]:
        """Ids a reply must not hold: padded vocabulary rows and placeholders of media, as rollout engines have it."""
        named = {value for key, value in config.to_dict().items() if MEDIA_IDS.fullmatch(key) and value is not None}
        rows = set(range(len(self.tokenizer), config.get_text_config().vocab_size))
        return sorted((rows | {int(value) for value in named}) - set(stop))


def find_family(processor: Any, thinking: Thinking = "model") -> ModelFamily:
    """The family of a loaded processor or tokenizer.

    Args:
        processor: of a model; the tokenizer of one without a vision part.
        thinking: how its chat template is to be switched.

    Raises:
        FamilyError: it has no chat template.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    if getattr(processor, "chat_template", None) is None:
        raise FamilyError("there is no chat template; save the model's chat_template.jinja beside its weights")
    image = getattr(processor, "image_processor", None)
    size = getattr(image, "size", None)
    edges = size if isinstance(size, Mapping) else vars(size) if size is not None else {}
    by_area = hasattr(image, "merge_size") and bool(edges.get("shortest_edge") and edges.get("longest_edge"))
    return ModelFamily(processor, tokenizer, image is not None, by_area, thinking)


def load_family(folder: Path, thinking: Thinking = "model") -> ModelFamily:
    """The family of a local folder for its texts alone: with its tokenizer in the processor's place, loaded sooner.

    The chat template may be missing; the processor is loaded where only that has one.
    """
    tokenizer, sees = load_tokenizer(folder), has_vision(folder)
    renderer = tokenizer
    if tokenizer.chat_template is None and sees:
        renderer = load_processor(str(folder))
    return ModelFamily(renderer, tokenizer, sees, read_area_rule(folder) is not None, thinking)
