"""What every stage shows a model is what SFT shows it: held against LLaMA-Factory's own code and the real processor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mindgpt_plugins.families import FamilyError, PixelLimits, read_area_rule
from mindgpt_plugins.families.pictures import compute_fitted_size, fit_picture
from mindgpt_plugins.llamafactory_ext.install import show_upright
from mindgpt_plugins.llamafactory_ext.seams import rebind_functions

SIDES = st.one_of(st.integers(1, 40), st.integers(41, 900))
LIMITS = st.sampled_from([(1024, 9216), (1024, 589_824), (65_536, 65_536), (65_536, 1_048_576)])


def show_by_host(image: Image.Image, least: int, most: int, by_area: bool) -> Image.Image:
    from llamafactory.data.mm_plugin import BasePlugin, Qwen2VLPlugin

    plugin: Any = (Qwen2VLPlugin if by_area else BasePlugin)("<image>", "<video>", None)
    seam = ("llamafactory.data.mm_plugin", "MMPluginMixin._preprocess_image")
    with rebind_functions({seam: show_upright}):
        shown: Image.Image = plugin._preprocess_image(image, image_max_pixels=most, image_min_pixels=least)
    return shown


@settings(max_examples=120)
@given(SIDES, SIDES, LIMITS, st.booleans(), st.sampled_from(["RGB", "RGBA", "L", "P", "1", "I;16", "CMYK", "LA", "F"]))
def test_a_picture_is_llama_factorys_to_the_pixel(
    width: int, height: int, limits: tuple[int, int], by_area: bool, mode: str
) -> None:
    image = Image.linear_gradient("L").resize((width, height))
    image = Image.new(mode, (width, height), 30_000) if mode == "I;16" else image.convert(mode)
    given = PixelLimits(*limits)
    try:
        mine = fit_picture(image, given, by_area=by_area)
    except FamilyError:
        with pytest.raises(ValueError, match="must be > 0"):
            show_by_host(image, *limits, by_area)
        return
    theirs = show_by_host(image, *limits, by_area)
    assert (mine.mode, mine.size) == (theirs.mode, theirs.size)
    assert mine.size == compute_fitted_size(width, height, given, by_area=by_area)
    assert mine.tobytes() == theirs.tobytes()


def test_a_picture_that_shrinks_to_nothing_is_refused_with_the_fix() -> None:
    with pytest.raises(FamilyError, match=r"30000 x 1 pixels, shrunk to image.max_pixels 9216, .* raise image.max_pix"):
        compute_fitted_size(30_000, 1, PixelLimits(1024, 9216), by_area=True)


@pytest.mark.parametrize(
    ("size", "most", "tokens"), [((400, 300), 9216, 9), ((4000, 3000), 589_824, 588), ((12_000, 80), 589_824, 588)]
)
def test_tokens_of_qwen3_vl_are_those_that_sft_has(
    size: tuple[int, int], most: int, tokens: int, tmp_path: Path
) -> None:
    published = {
        "image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": 16, "merge_size": 2,
        "size": {"shortest_edge": 1024 if most == 9216 else 65_536, "longest_edge": 16_777_216},
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    rule = read_area_rule(tmp_path)
    assert rule is not None and rule.smart_resize
    assert rule.count_tokens(*size, PixelLimits(1024, most)) == tokens


@pytest.mark.parametrize("patch", [14, 16])
@pytest.mark.parametrize("own", [(1024, 16_777_216), (3136, 50_176), (65_536, 65_536)])
def test_the_quick_count_is_the_processors(patch: int, own: tuple[int, int], tmp_path: Path) -> None:
    import transformers

    sizes = {"shortest_edge": own[0], "longest_edge": own[1]}
    processor = transformers.Qwen2VLImageProcessor(size=sizes, patch_size=patch, merge_size=2, temporal_patch_size=2)
    processor.save_pretrained(tmp_path)
    rule = read_area_rule(tmp_path)
    assert rule is not None and rule.smart_resize

    @settings(max_examples=25)
    @given(SIDES, SIDES, st.sampled_from([(1024, 9216), (1024, 100_000)]))
    def check(width: int, height: int, limits: tuple[int, int]) -> None:
        given = PixelLimits(*limits)
        shown = fit_picture(Image.new("RGB", (width, height)), given, by_area=True)
        grid = processor(images=[shown], return_tensors="pt")["image_grid_thw"]
        assert rule.count_tokens(width, height, given) == int(grid.prod()) // 4

    check()


def test_glm_v_has_areas_and_rounds_otherwise(tmp_path: Path) -> None:
    import transformers

    transformers.Glm4vImageProcessor().save_pretrained(tmp_path)
    rule = read_area_rule(tmp_path)
    assert rule is not None and not rule.smart_resize


def test_older_files_name_their_limits_otherwise(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"min_pixels": 3136, "max_pixels": 12_845_056, "patch_size": 14, "merge_size": 2})
    )
    rule = read_area_rule(tmp_path)
    assert rule is not None
    assert (rule.side, rule.least, rule.most, rule.smart_resize) == (28, 3136, 12_845_056, False)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 448, "width": 448}}))
    assert read_area_rule(tmp_path) is None
