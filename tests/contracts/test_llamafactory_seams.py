"""Every LLaMA-Factory and transformers name we touch exists as we use it in the installed versions."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

import mindgpt_plugins
from mindgpt_plugins.llamafactory_ext import seams
from mindgpt_plugins.llamafactory_ext.seams import SEAMS, Seam, SeamError, inspect_seams

pytestmark = pytest.mark.skipif(importlib.util.find_spec("llamafactory") is None, reason="needs the sft extra")


@pytest.mark.parametrize("status", inspect_seams(), ids=lambda s: f"{s.seam.module}.{s.seam.name}")
def test_seam(status):
    assert status.ok, status.detail


def test_the_installed_version_is_supported():
    assert seams.find_llamafactory_version() in seams.SUPPORTED
    seams.require_seams()


@pytest.mark.parametrize(
    ("seam", "detail"),
    [
        (Seam("llamafactory.train.tuner", "run_sftt", "function", (), ""), "does not exist"),
        (Seam("llamafactory.train.tunner", "run_sft", "function", (), ""), "does not exist"),
        (Seam("llamafactory.train.tuner", "run_sft", "class", (), ""), "is a function, not a class"),
        (
            Seam("llamafactory.train.tuner", "run_sft", "function", ("model_arguments",), ""),
            "no longer takes model_arg",
        ),
        (Seam("transformers.trainer", "Trainer.logg", "function", (), ""), "does not exist"),
    ],
)
def test_a_mismatch_stops_with_versions(monkeypatch, seam, detail):
    monkeypatch.setattr(seams, "SEAMS", (*SEAMS, seam))
    with pytest.raises(SeamError, match=detail) as error:
        seams.require_seams()
    assert seams.find_llamafactory_version() in str(error.value)
    assert "supported: 0.9.5" in str(error.value)


def test_another_version_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(seams, "find_llamafactory_version", lambda: "0.8.0")
    with pytest.raises(SeamError, match=r"LLaMA-Factory 0\.8\.0 is not supported \(supported: 0\.9\.5\)"):
        seams.require_seams()


def test_imports_of_the_host_are_seams_and_only_in_their_room():
    package = Path(mindgpt_plugins.__file__).parent
    listed = {(seam.module, seam.name.split(".")[0]) for seam in SEAMS}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "llamafactory":
                imported = [(node.module, alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                imported = [(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "llamafactory"]
            for name in imported:
                assert path.parent.name == "llamafactory_ext", f"{path} imports {name}"
                assert name in listed, f"{path}: {name} is used but is no seam"


def test_what_is_rebound_is_a_seam():
    source = (Path(seams.__file__).parent / "install.py").read_text()
    pairs = [
        tuple(element.value for element in key.elts)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Tuple)
    ]
    assert len(pairs) == 8
    assert set(pairs) <= {(seam.module, seam.name) for seam in SEAMS}


def test_rebinding_is_undone_and_refuses_a_name_another_package_took():
    import json.decoder as victim

    original = victim.JSONDecoder
    with seams.rebind_functions({("json.decoder", "JSONDecoder"): lambda c: type("Sub", (c,), {})}):
        assert victim.JSONDecoder is not original
        with (
            pytest.raises(SeamError, match="already been replaced"),
            seams.rebind_functions({("json.decoder", "JSONDecoder"): lambda c: c}),
        ):
            pass
    assert victim.JSONDecoder is original
