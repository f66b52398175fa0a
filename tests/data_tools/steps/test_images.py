import os
import struct
import zlib

import numpy as np
import pytest
from mindgpt_data.io.images import ImageError, hash_rgb_pixels, open_image
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.steps.images import measure_record
from PIL import Image

RED, BLUE = (220, 20, 20), (20, 20, 220)


def two_colours(width: int = 40, height: int = 20) -> Image.Image:
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def close(pixel, colour, by: int = 12) -> bool:
    return max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) <= by


def refused(path, **options) -> str:
    with pytest.raises(ImageError) as caught:
        open_image(path, **options)
    assert str(path) in str(caught.value)
    return caught.value.reason


def bomb(path, width: int = 60_000, height: int = 60_000) -> None:
    """A PNG whose header promises 3,600 megapixels and whose body is 30 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


def test_every_kind_of_bad_file_has_its_reason(tmp_path) -> None:
    two_colours(200, 200).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.png").write_text("not a picture")
    bomb(tmp_path / "bomb.png")
    assert refused(tmp_path / "cut.jpg") == "truncated or corrupt"
    assert refused(tmp_path / "empty.png") == "empty file"
    assert refused(tmp_path / "words.png") == "not an image"
    assert refused(tmp_path / "bomb.png") == "too many pixels"
    assert refused(tmp_path / "nothing.png") == "missing"
    assert refused(tmp_path / "whole.jpg", max_megapixels=0.03) == "too many pixels"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_permission(tmp_path) -> None:
    two_colours().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert refused(tmp_path / "a.png") == "no permission"


def test_animation_gives_its_first_frame(tmp_path) -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, BLUE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert close(open_image(tmp_path / "a.gif").getpixel((15, 15)), RED)


def test_cmyk_palette_grey_and_16_bit(tmp_path) -> None:
    two_colours().convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    two_colours().convert("P").save(tmp_path / "palette.png")
    for name in ("cmyk.jpg", "palette.png"):
        image = open_image(tmp_path / name)
        assert image.mode == "RGB" and close(image.getpixel((5, 5)), RED, 40), name
    deep = np.repeat(np.linspace(0, 65535, 256, dtype=np.uint16)[None], 8, axis=0)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    row = np.asarray(open_image(tmp_path / "deep.png"))[0, :, 0].astype(int)
    assert abs(row - np.arange(256)).max() <= 1  # clipping at 255 would make all but one white


def test_transparent_parts_are_white(tmp_path) -> None:
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    image.save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").getpixel((3, 3)) == (255, 255, 255)


def test_exif_rotation_is_applied(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90° clockwise
    two_colours(40, 20).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = open_image(tmp_path / "a.jpg")
    assert image.size == (20, 40)
    assert close(image.getpixel((10, 4)), RED) and close(image.getpixel((10, 36)), BLUE)


def test_panorama(tmp_path) -> None:
    Image.new("RGB", (10_000, 500), BLUE).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").size == (10_000, 500)


def test_equal_pixels_equal_hash_whatever_the_file(tmp_path) -> None:
    two_colours().save(tmp_path / "a.png")
    two_colours().save(tmp_path / "a.bmp")
    two_colours(20, 40).save(tmp_path / "b.png")
    hashes = [hash_rgb_pixels(open_image(tmp_path / name)) for name in ("a.png", "a.bmp", "b.png")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_picture_that_no_processor_takes_is_dropped_with_its_size(tmp_path) -> None:
    for name, size in (("long.png", (1500, 4)), ("fine.png", (800, 4))):
        Image.new("RGB", size).save(tmp_path / name)
    record, (drop,) = measure_record(ImageRecord("long.png", [str(tmp_path / "long.png")], 0, 0, ""))
    assert record is None and drop.reason == "too long and narrow" and "1500 x 4" in drop.detail
    record, drops = measure_record(ImageRecord("fine.png", [str(tmp_path / "fine.png")], 0, 0, ""))
    assert record is not None and not drops
