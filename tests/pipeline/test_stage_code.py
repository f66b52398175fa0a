"""What a stage's processes import is part of the stage's hash: found by reading sources, nothing is imported."""

from pathlib import Path

import pytest

from mindgpt_plugins.core import sources
from mindgpt_plugins.core.registry import get_registered, list_registered_names
from mindgpt_plugins.core.sources import find_code
from mindgpt_plugins.pipeline import plan
from mindgpt_plugins.recipe.loading import load_recipe

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"


@pytest.fixture
def hashes(tmp_path, monkeypatch):
    """Stage → hash of the quickstart, as if the sources of some modules were others."""
    real = sources.digest_module

    def made(*changed):
        digest = lambda module: "changed" if module.startswith(changed) else real(module)  # noqa: E731
        monkeypatch.setattr(sources, "digest_module", digest if changed else real)
        return {stage.name: stage.digest for stage in plan.make_run_plan(load_recipe(QUICKSTART), tmp_path).stages}

    return made


def test_the_walk_sees_what_is_imported_late_and_by_name():
    code = find_code(["mindgpt_patches.verl_linear_log_probs"])
    assert {"mindgpt_patches.linear_cross_entropy", "mindgpt_patches.triton_softmax"} <= code.keys()


def test_a_module_that_is_run_by_name_counts_with_its_main():
    assert "mindgpt_plugins.stages.evaluate.__main__" in get_registered("stage", "evaluate").code()


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("rl", "mindgpt_plugins.verl_ext.trainer"),
        ("rl", "mindgpt_plugins.verl_ext.hf_cpu"),
        ("rl", "mindgpt_plugins.advantage.subsets"),
        ("rl", "mindgpt_plugins.rewards.refusal"),
        ("rl", "mindgpt_plugins.curriculum.weave"),
        ("rl", "mindgpt_data.client.sender"),
        ("rl", "mindgpt_plugins.core.schedule"),
        ("rl", "mindgpt_patches.row_softmax"),
        ("sft", "mindgpt_plugins.losses.kl_anchor"),
        ("sft", "mindgpt_plugins.curriculum.self_paced"),
        ("dpo", "mindgpt_plugins.llamafactory_ext.dpo_trainer"),
        ("dpo", "mindgpt_patches.vision_dedup"),
        ("evaluate", "mindgpt_plugins.generation.hf_engine"),
        ("evaluate", "mindgpt_plugins.stages.evaluate.forgetting"),
        ("rejection_sampling", "mindgpt_plugins.stages.self_training.weights"),
        ("interpolate", "mindgpt_plugins.stages.interpolate.adapter"),
        ("data", "mindgpt_data.gates.necessity"),
        ("data", "mindgpt_data.density.segment"),
        ("world", "mindgpt_data.world.draw"),
    ],
)
def test_a_stage_is_stamped_with_what_decides_its_numbers(kind, module):
    assert module in get_registered("stage", kind).code()


@pytest.mark.parametrize("kind", list_registered_names("stage"))
def test_a_stage_is_stamped_with_its_own_file_and_with_nothing_that_only_looks(kind):
    code = get_registered("stage", kind).code()
    assert get_registered("stage", kind).__module__ in code
    looking = ("mindgpt_plugins.cli", "mindgpt_plugins.workbench", "mindgpt_plugins.pipeline", "mindgpt_data.report")
    assert [one for one in code if one.startswith(looking)] == []


def test_the_rl_stage_hangs_on_a_small_part_of_the_data_package():
    data = [one for one in get_registered("stage", "rl").code() if one.startswith("mindgpt_data")]
    assert len(data) < 30


def test_a_change_of_the_data_report_s_page_runs_no_stage_again(hashes):
    assert hashes("mindgpt_data.report.", "mindgpt_plugins.web.") == hashes()


def test_a_change_of_the_advantage_runs_rl_again_and_nothing_before_it(hashes):
    before, after = hashes(), hashes("mindgpt_plugins.advantage.")
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["rl", "eval_rl"]


def test_a_file_of_another_kind_counts_with_the_package_it_lies_in(tmp_path, monkeypatch):
    package = tmp_path / "strange_package"
    (package / "seeds").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "stage.py").write_text("from strange_package import inner\n")
    (package / "inner.py").write_text("")
    (package / "unused.py").write_text("")
    (package / "seeds" / "labels.yaml").write_text("a: 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def code():
        for one in (sources.digest_module, sources._imports, sources._file_of, sources._package_folder):
            one.cache_clear()
        return find_code(["strange_package.stage", "strange_package"], ["strange_package"])

    first = code()
    assert list(first) == ["strange_package", "strange_package.inner", "strange_package.stage"]
    (package / "seeds" / "labels.yaml").write_text("a: 2\n")
    second = code()
    assert [one for one in first if first[one] != second[one]] == ["strange_package"]


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match="mindgpt_plugins.nothing"):
        find_code(["mindgpt_plugins.nothing"])
