"""The registry refuses what cannot work and says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mindgpt_plugins.core.builtins import BUILTINS
from mindgpt_plugins.core.registry import (
    KINDS,
    PluginError,
    RegistryError,
    check_options,
    find_misnamed_groups,
    format_entry_point_group,
    get_registered,
    list_registered_names,
    load_plugins,
    register,
)


def test_register_and_get() -> None:
    @register("reward")
    def my_reward(r: object, *, weight: float = 1.0) -> float:
        return weight

    assert get_registered("reward", "my_reward") is my_reward
    assert "my_reward" in list_registered_names("reward")


def test_duplicate_names_are_refused() -> None:
    @register("reward", "twice")
    def first(r: object) -> float:
        return 0.0

    def second(r: object) -> float:
        return 1.0

    with pytest.raises(RegistryError, match="registered twice: by .*first and .*second"):
        register("reward", "twice")(second)


def test_a_builtin_name_cannot_be_taken() -> None:
    with pytest.raises(RegistryError, match="'accuracy' is built in"):

        @register("reward")
        def accuracy(r: object) -> float:
            return 0.0


def test_wrong_signature_names_the_parameters() -> None:
    with pytest.raises(RegistryError, match=r"exactly 1 positional .*it takes: r, tolerance"):

        @register("reward")
        def wrong(r: object, tolerance: float = 0.1) -> float:
            return tolerance


def test_unknown_kind_and_name_suggest_the_nearest() -> None:
    with pytest.raises(RegistryError, match="did you mean 'reward'"):
        list_registered_names("rewards")
    with pytest.raises(RegistryError, match="did you mean 'accuracy'"):
        get_registered("reward", "acuracy")


def test_unknown_option_suggests_the_nearest() -> None:
    @register("reward")
    def near(r: object, *, rel_tol: float = 1e-3) -> float:
        return rel_tol

    check_options("reward", "near", ["rel_tol"])
    with pytest.raises(RegistryError, match="no option 'reltol'; did you mean 'rel_tol'"):
        check_options("reward", "near", ["reltol"])


def test_plugin_file_is_loaded_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import mindgpt_plugins.core.registry as r\n@r.register('reward')\ndef mine(r, *, x=1): return x\n")
    first = load_plugins([str(file)])
    assert load_plugins([str(file)]) == first
    assert get_registered("reward", "mine")(None) == 1


@pytest.mark.parametrize(
    "code, message", [("1/0", "ZeroDivisionError"), ("import not_a_module", "ModuleNotFoundError")]
)
def test_plugin_that_raises_stops_with_its_error(tmp_path: Path, code: str, message: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(code)
    with pytest.raises(PluginError, match=f"broken.py.*raised on import: {message}"):
        load_plugins([str(file)])


def test_missing_plugin_file() -> None:
    with pytest.raises(PluginError, match="does not exist"):
        load_plugins(["/nowhere/at_all.py"])


@pytest.mark.parametrize("kind, name", [(k, n) for k, table in BUILTINS.items() for n in table])
def test_every_builtin_resolves(kind: str, name: str) -> None:
    assert kind in KINDS
    assert get_registered(kind, name) is not None


def test_import_is_light() -> None:
    code = """
import sys, time
started = time.process_time()
import mindgpt_plugins, mindgpt_plugins.core.registry
seconds = time.process_time() - started
heavy = {"torch", "verl", "llamafactory", "transformers", "ray", "numpy"} & set(sys.modules)
assert not heavy, heavy
assert seconds < 0.2, seconds
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_package_that_offers_a_wrong_group_is_told_the_right_one(tmp_path: Path, monkeypatch) -> None:
    info = tmp_path / "astray-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: astray\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mindgpt.losss]\nfocal = astray:focal\n[mindgpt.patchs]\nfast = astray:fast\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_misnamed_groups() == [
        "package astray offers 'focal' in the group 'mindgpt.losss'; the group is 'mindgpt.losses'",
        "package astray offers 'fast' in the group 'mindgpt.patchs'; the group is 'mindgpt.patches'",
    ]
    with pytest.raises(RegistryError, match=r"no loss 'focal'.*the group is 'mindgpt\.losses'"):
        get_registered("loss", "focal")


def test_every_kind_has_an_english_group() -> None:
    groups = [format_entry_point_group(kind) for kind in KINDS]
    assert len(set(groups)) == len(groups)
    assert {"mindgpt.losses", "mindgpt.patches", "mindgpt.rewards"} <= set(groups)
