"""Host versions our seams were checked against. A version outside its range stops a run before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.specifiers import SpecifierSet
from packaging.version import Version


@dataclass(frozen=True)
class Host:
    """A package we sit in, the versions we support and the one every test ran on."""

    name: str
    supported: SpecifierSet
    validated: str
    install: str = "pip install -c constraints/cpu.txt 'mindgpt-plugins[cpu]'"
    """What installs it together with what it needs."""


_QUANTISE = "in an interpreter of its own: pip install -c constraints/quant.txt 'mindgpt-plugins[quantise]'"
_BENCHMARK = "in an interpreter of its own: pip install -c constraints/evalscope.txt 'mindgpt-plugins[benchmark]'"
HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        Host("llamafactory", SpecifierSet(">=0.9.5,<0.9.6"), "0.9.5"),
        Host("verl", SpecifierSet(">=0.9.1,<0.9.2"), "0.9.1"),
        Host("transformers", SpecifierSet(">=5.5.3,<5.6"), "5.5.4"),
        Host("torch", SpecifierSet(">=2.10"), "2.13.0"),
        Host("transferqueue", SpecifierSet("==0.1.11"), "0.1.11"),
        Host("llmcompressor", SpecifierSet(">=0.14,<0.15"), "0.14.0.1", _QUANTISE),
        Host("evalscope", SpecifierSet(">=1.14,<1.15"), "1.14.1", _BENCHMARK),
    )
}

SIDES: dict[str, tuple[str, ...]] = {
    "data": (),
    "sft": ("llamafactory", "transformers", "torch"),
    "rl": ("verl", "transferqueue", "transformers", "torch"),
    "quantise": ("llmcompressor", "torch"),
    "benchmark": ("evalscope",),
}
"""Hosts that each side of a recipe needs."""


def installed(name: str) -> str | None:
    """Version of an installed distribution, or ``None``."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def problem(name: str, version: str | None) -> str | None:
    """One line with cause and fix if this version of a host is missing or not supported."""
    host = HOSTS[name]
    fix = f"pip install '{name}=={host.validated}' (or {host.install})"
    if version is None:
        return f"{name} is not installed; {fix}"
    if not host.supported.contains(Version(version).public, prereleases=True):
        return f"{name} {version} is not supported (supported: {host.supported}, validated: {host.validated}); {fix}"
    return None
