import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest
import torch
from mindgpt_patches import PatchOutcome, PatchRefused, catalog, certificate, guard, records
from pydantic import TypeAdapter

from mindgpt_plugins.core.patch_modes import Patches
from mindgpt_plugins.core.registry import list_registered_names


def test_it_is_light():
    code = "import sys; import mindgpt_patches.catalog as c; c.resolve_modes({}, 'rl'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_entry_is_a_module_that_doctor_knows_too():
    for name, entry in catalog.CATALOG.items():
        assert not entry.target or name in list_registered_names("patch")
        assert importlib.util.find_spec(f"mindgpt_patches.{name}") is not None


def test_yaml_reads_on_and_off_as_booleans():
    parse = TypeAdapter(Patches).validate_python
    assert parse({"a": True, "b": False, "c": "auto"}) == {"a": "on", "b": "off", "c": "auto"}
    with pytest.raises(ValueError, match="auto"):
        parse({"a": "yes"})


@pytest.mark.parametrize(
    ("given", "message"),
    [({"linear_ce": "on"}, "is unknown"), ({"verl_equal_length": "on"}, "acts in rl stages only")],
)
def test_wrong_names(given, message):
    with pytest.raises(catalog.PatchesError, match=message):
        catalog.resolve_modes(given, "sft")


@pytest.fixture
def host(monkeypatch):
    """A host module with one function, and a patch of it that multiplies by ``factor``."""
    module = types.ModuleType("a_host")
    exec(compile("def triple(x):\n    return 3 * x\n", __file__, "exec"), module.__dict__)
    monkeypatch.setattr(guard, "fingerprint_function", lambda function: function(1))

    def patch(factor):
        mine = types.ModuleType("mindgpt_patches.a_patch")

        def apply():
            guard.replace_function(module, "triple", {3: "a_host 1.0"}, lambda original: lambda x: factor * x)
            return "applied"

        def run():
            x = torch.ones(2).requires_grad_()
            return module.triple(x).sum(), [x]

        mine.apply, mine.certify = apply, lambda: certificate.measure_errors(module, "triple", run)
        monkeypatch.setitem(sys.modules, "mindgpt_patches.a_patch", mine)
        monkeypatch.setitem(catalog.CATALOG, "a_patch", catalog.Entry(("sft",), "accelerator", "", "a_host"))
        return module

    return patch


def test_applied_with_a_certificate(host):
    module, original = host(3), host(3).triple
    outcome = catalog.apply_patch("a_patch", "on", accelerator=False)
    assert outcome == PatchOutcome("a_patch", "applied", "", {"loss": 0.0, "gradients": 0.0})
    assert module.triple is not original


def test_off_and_not_needed_leave_the_host_alone(host):
    module = host(3)
    original = module.triple
    assert catalog.apply_patch("a_patch", "off", accelerator=True).state == "off"
    assert catalog.apply_patch("a_patch", "auto", accelerator=False).state == "not needed"
    assert module.triple is original
    assert catalog.apply_patch("a_patch", "auto", accelerator=True).state == "applied"


def test_one_that_computes_something_else_is_taken_back(host):
    module = host(4)
    original = module.triple
    outcome = catalog.apply_patch("a_patch", "auto", accelerator=True)
    assert outcome.state == "refused" and "host's numbers" in outcome.reason
    assert module.triple is original
    with pytest.raises(PatchRefused, match=r"patches: \{a_patch: off\}"):
        catalog.apply_patch("a_patch", "on", accelerator=True)


def test_records_of_several_processes(tmp_path):
    records.write_outcomes([PatchOutcome("a", "not needed"), PatchOutcome("b", "applied", "", {"loss": 0.0})], tmp_path)
    records.write_outcomes([PatchOutcome("a", "applied", "later")], tmp_path)
    assert records.read_outcomes(tmp_path) == [
        PatchOutcome("a", "applied", "later"),
        PatchOutcome("b", "applied", "", {"loss": 0.0}),
    ]


@pytest.mark.slow
def test_two_patches_wait_for_the_same_module_of_a_process(tmp_path):
    env = {
        "MINDGPT_PATCHES": "pos_embed_cache=on,patch_embed_linear=auto,processor_typed_dict=off",
        "MINDGPT_PATCH_RECORDS": str(tmp_path),
        "VERL_PLATFORM": "cpu",
    }
    code = (
        "import sys; from mindgpt_patches.catalog import apply_from_environment as apply\n"
        "apply(); assert 'transformers' not in sys.modules and 'torch' not in sys.modules\n"
        "import transformers.models.qwen3_vl.modeling_qwen3_vl as m\n"
        "assert hasattr(m.Qwen3VLVisionModel.fast_pos_embed_interpolate, '__mindgpt_patch__')\n"
        "assert not hasattr(m.Qwen3VLVisionPatchEmbed.forward, '__mindgpt_patch__')\n"
    )
    subprocess.run([sys.executable, "-c", code], env=plain_environment() | env, check=True)
    found = {one["name"]: one for one in json.loads((tmp_path / "patches.json").read_text())}
    assert found["pos_embed_cache"]["state"] == "applied"
    assert found["pos_embed_cache"]["parity"] == {"loss": 0.0, "gradients": 0.0}
    assert found["patch_embed_linear"]["state"] == "not needed"
    assert found["processor_typed_dict"]["state"] == "off"


def plain_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("MINDGPT_", "VERL_"))}
