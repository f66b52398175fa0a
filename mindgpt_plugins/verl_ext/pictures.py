"""verl's dataset with the pictures of supervised training.

verl 0.9.1 brings a row's pictures to the limits of qwen-vl-utils (16,384 tokens), whatever the model, and has no
setting of its own for them: a 1600 × 1200 picture is 1,915 tokens of Qwen3-VL there and 555 in SFT and evaluation at
the recipe's ordinary limit. verl asks its dataset class for the pictures of a prompt, in every agent loop and in its
length filter, so that the class is the one place to say it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import open_dict
from verl.utils.dataset.rl_dataset import RLHFDataset

from mindgpt_plugins.core.upright import make_upright_rgb
from mindgpt_plugins.families import PixelLimits, find_family, load_processor, read_area_rule
from mindgpt_plugins.families.pictures import fit_picture

if TYPE_CHECKING:
    from PIL.Image import Image

KEY = "mindgpt_pictures"
"""Where ``data`` holds the limits: ``min_pixels``, ``max_pixels`` and ``by_area``."""
_FIXED = ("resized_height", "resized_width")


class PictureError(ValueError):
    """A picture of a row cannot be shown as asked; the message says which and why."""


def fit_dataset_pictures(config: Any, limits: PixelLimits) -> None:
    """Make verl read its rows with :class:`FittedDataset`, unless the user has a dataset class of their own.

    Args:
        config: the whole Hydra configuration; changed.
        limits: of the recipe.
    """
    if config.data.custom_cls.get("path", None):
        return
    model = str(config.actor_rollout_ref.model.path)
    folder = Path(model)
    by_area = read_area_rule(folder) is not None if folder.is_dir() else find_family(load_processor(model)).by_area
    with open_dict(config):
        config.data.custom_cls.path, config.data.custom_cls.name = f"pkg://{__name__}", FittedDataset.__name__
        config.data[KEY] = {"min_pixels": limits.min_pixels, "max_pixels": limits.max_pixels, "by_area": by_area}


class FittedDataset(RLHFDataset):  # type: ignore[misc]
    """Rows as verl reads them, their pictures as :func:`mindgpt_plugins.families.pictures.fit_picture` makes them."""

    def _build_messages(self, example: dict[str, Any], key: str) -> Any:
        # Pictures that the set decodes itself are converted by verl, which would paint transparent parts black.
        pictures = example.get(self.image_key)
        if pictures:
            example = {
                **example,
                self.image_key: [make_upright_rgb(one) if hasattr(one, "getexif") else one for one in pictures],
            }
        return super()._build_messages(example, key)

    @classmethod
    def _process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: int, config: Any
    ) -> tuple[Any, Any, Any]:
        asked = config[KEY]
        images = [
            fit_picture(open_row_picture(part), limit_row_picture(part, asked), by_area=bool(asked["by_area"]))
            for part in _list_parts(messages)
            if is_picture(part)
        ]
        # Both lists are in the order of the turns, each for itself: videos are verl's own.
        others = [
            {**turn, "content": [part for part in turn["content"] if not is_picture(part)]}
            for turn in messages
            if isinstance(turn.get("content"), list)
        ]
        _, videos, audios = super()._process_multi_modal_info(others, image_patch_size=image_patch_size, config=config)
        return images or None, videos, audios


def is_picture(part: Any) -> bool:
    """Whether a part of a turn is a picture, as qwen-vl-utils tells."""
    return isinstance(part, Mapping) and ("image" in part or "image_url" in part)


def limit_row_picture(part: Mapping[str, Any], asked: Mapping[str, Any]) -> PixelLimits:
    """The recipe's limits, or those that a row has for its own picture.

    Raises:
        PictureError: the row wants a fixed size, which no other stage could show.
    """
    fixed = [key for key in _FIXED if part.get(key) is not None]
    if fixed:
        raise PictureError(
            f"a row fixes its picture's size ({', '.join(fixed)}), which SFT and evaluation cannot follow; resize the "
            "file, or give the row min_pixels and max_pixels"
        )
    return PixelLimits(*(int(part.get(key) or asked[key]) for key in ("min_pixels", "max_pixels")))


def open_row_picture(part: Mapping[str, Any]) -> Image:
    """The picture of a part, in its own mode: a Pillow picture, a path, a ``file:``, ``data:`` or ``http:`` address.

    Raises:
        PictureError: it cannot be read.
    """
    from PIL import Image as Pillow

    source = part["image"] if "image" in part else part["image_url"]
    source = source["url"] if isinstance(source, Mapping) else source
    if isinstance(source, Pillow.Image):
        return source
    name = f"{source[:60]}…" if str(source).startswith("data:") else str(source)
    try:
        with Pillow.open(_open_source(str(source))) as image:
            image.load()
            opened: Image = image
            return opened
    except (OSError, SyntaxError, ValueError) as error:  # as Pillow's decoders raise
        raise PictureError(f"the picture {name} of a prompt cannot be read: {error}") from error


def _open_source(source: str) -> Any:
    if source.startswith(("http://", "https://")):
        return io.BytesIO(_fetch(source))
    if source.startswith("data:"):
        import base64

        return io.BytesIO(base64.b64decode(source.partition("base64,")[2]))
    return source.removeprefix("file://")


@lru_cache(maxsize=64)  # siblings share their picture
def _fetch(address: str) -> bytes:
    import requests

    answer = requests.get(address, timeout=60)
    answer.raise_for_status()
    return answer.content


def _list_parts(messages: list[dict[str, Any]]) -> Iterator[Any]:
    for turn in messages:
        if isinstance(turn.get("content"), list):
            yield from turn["content"]
