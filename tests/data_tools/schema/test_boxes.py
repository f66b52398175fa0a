import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.schema.boxes import BoxError, Frame, compute_shown_size, format_box, parse_box

from mindgpt_plugins.answers import BOX_CONVENTIONS
from mindgpt_plugins.answers.box import find_box_misfit, parse_boxes

SIDES = st.integers(28, 4000)


@st.composite
def boxed_pictures(draw) -> tuple[int, int, list[int]]:
    width, height = draw(SIDES), draw(SIDES)
    x0, y0 = draw(st.integers(0, width * 3 // 4)), draw(st.integers(0, height * 3 // 4))
    return (
        width,
        height,
        [x0, y0, draw(st.integers(x0 + width // 8, width)), draw(st.integers(y0 + height // 8, height))],
    )


@pytest.mark.parametrize("convention", ["relative_1000", "pixels"])
@given(boxed_pictures())
def test_writing_and_reading_a_box_gives_it_back_up_to_rounding(convention, picture) -> None:
    width, height, box = picture
    frame = Frame(convention, width, height, 1_000_000)
    back = frame.read(parse_box(format_box(frame.write(box))))
    x, y = frame.extent
    for got, want, unit in zip(back, box, (width / x, height / y) * 2, strict=True):
        assert abs(got - want) <= unit / 2 + 1e-6


@given(st.integers(28, 4000), st.integers(28, 4000), st.integers(28 * 28 * 100, 4_000_000))
def test_shown_pictures_are_whole_patches_within_the_limit_and_keep_their_aspect(width, height, limit) -> None:
    x, y = compute_shown_size(width, height, limit)
    assert x % 28 == y % 28 == 0
    if max(width, height) / min(width, height) < 50:
        assert x * y <= limit
    if min(x, y) >= 280:
        assert abs((x / y) / (width / height) - 1) < 0.12


def test_the_processor_of_qwen2_5_vl_shows_the_same_size() -> None:
    image_processing = pytest.importorskip("transformers.models.qwen2_vl.image_processing_qwen2_vl")
    for width, height in [(640, 480), (1920, 1080), (97, 1003), (30, 30), (5000, 300)]:
        rows, columns = image_processing.smart_resize(
            height, width, factor=28, min_pixels=4 * 28 * 28, max_pixels=1_048_576
        )
        assert compute_shown_size(width, height, 1_048_576) == (columns, rows)


@pytest.mark.parametrize("bad", ["no box", "[1, 2, 3]", "[1,2,3,4] or [2,3,4,5]", "[a, b, c, d]"])
def test_what_is_no_single_box_is_refused(bad) -> None:
    with pytest.raises(BoxError, match="exactly one box"):
        parse_box(bad)


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [0, 0, 2000, 10], [-5, 0, 10, 10], [float("nan"), 0, 1, 1]])
def test_boxes_that_are_empty_or_outside_are_refused(box) -> None:
    with pytest.raises(BoxError):
        Frame("relative_1000", 100, 100, 10_000).read(box)


@pytest.mark.parametrize("convention", list(BOX_CONVENTIONS))
@given(boxed_pictures())
def test_every_convention_is_written_and_read_back(convention, picture) -> None:
    width, height, box = picture
    frame = Frame(convention, width, height, 1_000_000)
    written = frame.write(box)
    assert find_box_misfit(parse_boxes(str(written), convention), convention) is None
    x, y = frame.extent
    digits = 1e-4 if (x, y) == (1, 1) else 1
    for got, want, unit in zip(frame.read(written), box, (width / x, height / y) * 2, strict=True):
        assert abs(got - want) <= 1.01 * unit * digits


def test_a_share_is_written_with_decimals() -> None:
    assert format_box(Frame("relative_1", 1000, 1000, 10**6).write([100, 200, 300, 400])) == "[0.1, 0.2, 0.3, 0.4]"
    assert Frame("coco", 1000, 1000, 10**6).write([100, 200, 300, 400]) == [100, 200, 200, 200]
