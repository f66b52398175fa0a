from pathlib import Path

import pytest
from mindgpt_data.steps.settings import SettingsError, load_data_settings

ENDPOINT = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
CONFIG = """
images: {path: photos}
endpoints: {teacher: [{base_url: "http://127.0.0.1:1/v1", model: small}]}
filter: {against: [sets/mm]}
"""


def written(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_paths_start_from_the_file_and_overrides_from_here(tmp_path: Path) -> None:
    settings = load_data_settings(written(tmp_path), [], {})
    assert settings.images.path == str(tmp_path / "photos")
    assert settings.filter.against == (str(tmp_path / "sets" / "mm"),)
    assert load_data_settings(written(tmp_path), ["images.path=here"], {}).images.path == "here"


def test_overrides_reach_into_lists(tmp_path: Path) -> None:
    settings = load_data_settings(written(tmp_path), ["endpoints.teacher.0.model=big", "budget.items=40"], {})
    assert settings.endpoints_for("judge")[0].model == "big"
    assert settings.budget.items == 40


def test_a_recipe_gives_its_data_stage(tmp_path: Path) -> None:
    stage = "{kind: data, images: {path: photos}, engine: ray, budget: {n_max: 3}}"
    recipe = written(tmp_path, f"name: x\nstages:\n  data: {stage}\n")
    assert load_data_settings(recipe, [], {}).budget.n_max == 3
    two = written(tmp_path, f"name: x\nstages:\n  a: {stage}\n  b: {stage}\n")
    with pytest.raises(SettingsError, match="2 stages of kind data"):
        load_data_settings(two, [], {})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["bugdet.items=4"], "bugdet: unknown key 'bugdet'; did you mean 'budget'"),
        (["budget.itmes=4"], "budget.itmes: unknown key 'itmes'; did you mean 'items'"),
        (["budget.items=many"], "budget.items: Input should be a valid integer"),
        (["budget"], "'budget' is not of the form key=value"),
        (["endpoints.teacher.7.model=x"], "endpoints.teacher.7.model"),
        (["endpoints.teacher.0.base_url=ftp://x"], "base_url"),
        (["export.dev=0.5", "export.test=0.5"], "leave nothing to train on"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_data_settings(written(tmp_path), overrides, {})
