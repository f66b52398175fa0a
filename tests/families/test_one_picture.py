"""One file, one picture: what SFT and DPO, RL's rollouts and our engines hand to the processor, to the pixel."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from mindgpt_plugins.families import PixelLimits
from mindgpt_plugins.families.pictures import fit_picture
from mindgpt_plugins.generation.hf_engine import open_image
from mindgpt_plugins.inspection.longest import read_size
from mindgpt_plugins.llamafactory_ext.install import show_upright
from mindgpt_plugins.llamafactory_ext.seams import rebind_functions

LIMITS = PixelLimits(1024, 9216)


def gradient(width: int, height: int) -> Image.Image:
    ramp = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(channel) for channel in (ramp, ramp[::-1].copy(), 255 - ramp)])


def save_turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient(60, 30).save(path, "JPEG", exif=exif)


def save_with_alpha(mode: str) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        image = gradient(50, 40).convert("RGBA")
        image.putalpha(Image.linear_gradient("L").resize((50, 40)))
        image.convert(mode).save(path, "PNG")

    return save


def save_palette(path: Path) -> None:
    image = gradient(50, 40).quantize(16)
    image.save(path, "PNG", transparency=0)


PICTURES: dict[str, Callable[[Path], None]] = {
    "tiny": lambda path: gradient(3, 2).save(path, "PNG"),
    "odd": lambda path: gradient(61, 37).save(path, "PNG"),
    "long": lambda path: gradient(3000, 10).save(path, "PNG"),
    "large": lambda path: gradient(400, 300).save(path, "JPEG"),
    "grey": lambda path: gradient(50, 40).convert("L").save(path, "PNG"),
    "one bit": lambda path: gradient(50, 40).convert("1").save(path, "PNG"),
    "16 bit": lambda path: Image.fromarray(np.full((40, 50), 32_768, np.uint16)).save(path, "PNG"),
    "CMYK": lambda path: gradient(50, 40).convert("CMYK").save(path, "JPEG"),
    "RGBA": save_with_alpha("RGBA"),
    "LA": save_with_alpha("LA"),
    "palette": save_palette,
    "EXIF": save_turned,
}


def digest(image: Image.Image) -> tuple[str, tuple[int, int], str]:
    return image.mode, image.size, hashlib.sha256(image.tobytes()).hexdigest()


def show_in_sft(path: Path, by_area: bool) -> Image.Image:
    from llamafactory.data.mm_plugin import BasePlugin, Qwen2VLPlugin

    plugin: Any = (Qwen2VLPlugin if by_area else BasePlugin)("<image>", "<video>", None)
    seam = ("llamafactory.data.mm_plugin", "MMPluginMixin._preprocess_image")
    with rebind_functions({seam: show_upright}):
        (image,) = plugin._regularize_images(
            [str(path)], image_max_pixels=LIMITS.max_pixels, image_min_pixels=LIMITS.min_pixels
        )["images"]
    assert isinstance(image, Image.Image)
    return image


def show_in_rl(part: dict[str, Any], by_area: bool) -> Image.Image:
    from mindgpt_plugins.verl_ext.pictures import KEY, FittedDataset

    config = OmegaConf.create({KEY: {"min_pixels": 1024, "max_pixels": 9216, "by_area": by_area}})
    turns = [
        {"role": "system", "content": "short"},
        {"role": "user", "content": [{"type": "image", **part}, {"type": "text", "text": "?"}]},
    ]
    (image,), videos, audios = FittedDataset._process_multi_modal_info(turns, 14, config)
    assert videos is None and audios is None and isinstance(image, Image.Image)
    return image


@pytest.mark.parametrize("by_area", [True, False])
@pytest.mark.parametrize("kind", PICTURES)
def test_every_stage_shows_the_same_pixels(kind: str, by_area: bool, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    PICTURES[kind](path)
    asked = digest(fit_picture(open_image(path, blank=False), LIMITS, by_area=by_area))
    assert digest(show_in_sft(path, by_area)) == asked
    assert digest(show_in_rl({"image": str(path)}, by_area)) == asked
    assert digest(show_in_rl({"image": f"file://{path}"}, by_area)) == asked
    assert digest(show_in_rl({"image": Image.open(io.BytesIO(path.read_bytes()))}, by_area)) == asked


@pytest.mark.parametrize("kind", PICTURES)
def test_the_size_that_is_counted_is_the_size_that_is_shown(kind: str, tmp_path: Path) -> None:
    from mindgpt_plugins.families.pictures import compute_fitted_size

    path = tmp_path / "picture"
    PICTURES[kind](path)
    shown = fit_picture(open_image(path, blank=False), LIMITS, by_area=True)
    assert compute_fitted_size(*read_size(path), LIMITS, by_area=True) == shown.size


def test_a_person_would_see_the_same(tmp_path: Path) -> None:
    """The rule itself: upright, on white, deep grey scaled."""
    large = PixelLimits(1, 10**6)

    def show(kind: str) -> Image.Image:
        PICTURES[kind](tmp_path / kind)
        return fit_picture(open_image(tmp_path / kind, blank=False), large, by_area=False)

    assert show("EXIF").size == (30, 60)
    assert show("16 bit").getpixel((0, 0)) == (127, 127, 127)
    for kind in ("RGBA", "LA"):
        assert min(show(kind).getpixel((0, 0))) > 250  # type: ignore[type-var]  # nearly clear at the top
    assert (255, 255, 255) in [colour for _, colour in show("palette").getcolors(10**6) or []]


def test_a_set_that_decodes_its_pictures_keeps_their_ground(tmp_path: Path) -> None:
    from mindgpt_plugins.verl_ext.pictures import FittedDataset

    dataset = FittedDataset.__new__(FittedDataset)
    dataset.image_key, dataset.video_key, dataset.audio_key, dataset.processor = "images", "videos", "audios", object()
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    turns = dataset._build_messages({"images": [clear], "p": [{"role": "user", "content": "<image>?"}]}, "p")
    assert turns[0]["content"][0]["image"].getpixel((0, 0)) == (255, 255, 255)


def make_host_config(**data: object) -> Any:
    return OmegaConf.create(
        {
            "data": {"custom_cls": {"path": None, "name": None}, **data},
            "actor_rollout_ref": {"model": {"path": str(Path(__file__).parent)}},
        }
    )


def test_verl_is_pointed_at_our_rows_unless_the_user_has_a_class() -> None:
    from verl.utils.dataset.rl_dataset import get_dataset_class

    from mindgpt_plugins.verl_ext.pictures import FittedDataset, fit_dataset_pictures

    config = make_host_config()
    OmegaConf.set_struct(config, True)
    fit_dataset_pictures(config, LIMITS)
    assert get_dataset_class(config.data) is FittedDataset
    assert dict(config.data.mindgpt_pictures) == {"min_pixels": 1024, "max_pixels": 9216, "by_area": False}
    own = make_host_config(custom_cls={"path": "own.py", "name": "Own"})
    fit_dataset_pictures(own, LIMITS)
    assert "mindgpt_pictures" not in own.data and own.data.custom_cls.path == "own.py"


def test_a_rows_own_limits_hold_and_a_fixed_size_is_refused() -> None:
    from mindgpt_plugins.verl_ext.pictures import PictureError, limit_row_picture

    asked = {"min_pixels": 1024, "max_pixels": 9216}
    assert limit_row_picture({"image": "a", "max_pixels": 2048, "min_pixels": None}, asked) == PixelLimits(1024, 2048)
    with pytest.raises(PictureError, match="resized_height, resized_width"):
        limit_row_picture({"image": "a", "resized_height": 28, "resized_width": 28}, asked)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    from mindgpt_plugins.verl_ext.pictures import PictureError

    (tmp_path / "no.png").write_bytes(b"<html>")
    with pytest.raises(PictureError, match=r"no\.png of a prompt cannot be read"):
        show_in_rl({"image": str(tmp_path / "no.png")}, True)
