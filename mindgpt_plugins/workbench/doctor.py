"""What ``mindgpt doctor`` looks at. Every host is started in a fresh process, as a run would start it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mindgpt_plugins import __version__
from mindgpt_plugins.core import compat, device
from mindgpt_plugins.core.process import build_child_environment
from mindgpt_plugins.core.registry import (
    PluginError,
    RegistryError,
    find_misnamed_groups,
    get_registered,
    list_registered_names,
)

_SUBPROCESS_SECONDS = 420
IMPORTED = ("torch", "transformers", "llamafactory", "verl", "vllm")
"""Hosts that are imported to see whether they can be."""

_VERL = """
import json, sys
import verl
print("MINDGPT" + json.dumps({"loaded": "mindgpt_plugins.verl_ext.entry" in sys.modules, "verl": verl.__version__}))
"""

_RAY = """
import json, os, sys
import ray
ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, _temp_dir=sys.argv[1], log_to_driver=False)
@ray.remote
def probe():
    import sys
    import verl
    return "mindgpt_plugins.verl_ext.entry" in sys.modules
print("MINDGPT" + json.dumps({"loaded": ray.get(probe.remote())}))
"""

_IMPORT = """
import importlib.machinery, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        spec = importlib.machinery.PathFinder.find_spec(name)
        found[name] = f"{told} (in {spec.origin})" if spec is not None and spec.origin else told
print("MINDGPT" + json.dumps(found))
"""

_APPLY = """
import importlib.util, json
from mindgpt_plugins.core.registry import get_registered, find_misnamed_groups, list_registered_names
found = []
for name in list_registered_names("patch"):
    try:
        found.append([name, get_registered("patch", name)(), ""])
    except ModuleNotFoundError as error:
        # Missing is a host of which nothing is here; a part that it does not have makes it another release.
        missing = importlib.util.find_spec((error.name or "").partition(".")[0] or "no_name") is None
        told = f"its host is not installed here: {error}" if missing else f"its host is another release: {error}"
        found.append([name, "not needed" if missing else "refused", told])
    except Exception as error:
        found.append([name, "refused", f"{type(error).__name__}: {error}"])
print("MINDGPT" + json.dumps(found))
"""


@dataclass(frozen=True)
class DoctorFinding:
    """One checked thing."""

    check: str
    state: str
    """``ok``, ``trouble``, ``not needed``, ``not installed``, or a patch's own word."""
    detail: str

    def as_dict(self) -> dict[str, str]:
        """Plain data for ``--json``."""
        return asdict(self)


def diagnose_installation(*, quick: bool = False) -> list[DoctorFinding]:
    """All findings, cheapest first."""
    findings = [DoctorFinding("mindgpt-plugins", "ok", f"{__version__}, Python {sys.version.split()[0]}, {_machine()}")]
    findings += _versions()
    findings += _plugins()
    findings += _stage_kinds()
    broken = {} if quick else _find_broken_hosts()
    findings += [
        DoctorFinding(f"{name}: import", "trouble", f"it is installed, but raises on import: {told}")
        for name, told in broken.items()
    ]
    if "llamafactory" not in broken:
        findings += _llamafactory_seams()
    if not quick:
        findings += _patches()
        if "verl" not in broken:
            findings += _verl_processes()
    return findings


def _find_broken_hosts() -> dict[str, str]:
    """Installed trainers and engines that raise on import, in a fresh process → what they raise, and where."""
    names = [name for name in IMPORTED if compat.find_installed_version(name) is not None]
    if not names:
        return {}
    answer, error = _python(["-c", _IMPORT, *names], {})
    return {", ".join(names): f"the process failed: {error}"} if answer is None else answer


def _machine() -> str:
    return f"{os.cpu_count()} cores, device {device.resolve_device('auto')}"


def _versions() -> Iterator[DoctorFinding]:
    for name, host in compat.HOSTS.items():
        version = compat.find_installed_version(name)
        if version is None:
            detail = f"extra {host.extras}; supported {host.supported}, validated {host.validated}; {host.install}"
            yield DoctorFinding(name, "not installed", detail)
            continue
        if name == "transformers" and not any(map(compat.find_installed_version, ("verl", "llamafactory"))):
            yield DoctorFinding(name, "ok", f"{version} (no trainer here, so any will do)")
            continue
        fault = compat.find_version_problem(name, version)
        detail = f"{version} (extra {host.extras}; supported {host.supported}, validated {host.validated})"
        yield DoctorFinding(name, "trouble" if fault else "ok", fault or detail)


def _plugins() -> Iterator[DoctorFinding]:
    """Every reward, sampler and loss that can be named can be imported (third-party entry points included)."""
    if astray := find_misnamed_groups():
        yield DoctorFinding("plugins: groups", "trouble", "; ".join(astray))
    for kind in ("reward", "sampler", "mixture", "loss", "advantage", "estimator", "allocator", "teacher"):
        broken = []
        for name in list_registered_names(kind):
            try:
                get_registered(kind, name)
            except (PluginError, RegistryError) as error:
                broken.append(str(error))
        if broken:
            yield DoctorFinding(f"plugins: {kind}", "trouble", "; ".join(broken))
        elif list_registered_names(kind):
            yield DoctorFinding(f"plugins: {kind}", "ok", ", ".join(list_registered_names(kind)))


def _stage_kinds() -> Iterator[DoctorFinding]:
    """Which stage kinds can run in this interpreter, third-party ones included, and what the others lack."""
    ready = []
    for kind in list_registered_names("stage"):
        try:
            hosts = get_registered("stage", kind).hosts
        except (PluginError, RegistryError) as error:
            yield DoctorFinding(f"stage kind: {kind}", "trouble", str(error))
            continue
        faults = [fault for fault in map(compat.find_requirement_problem, hosts) if fault]
        if faults:
            # A tool may live in an interpreter of its own; versions of our hosts are judged above.
            yield DoctorFinding(f"stage kind: {kind}", "not installed", f"does not run here: {'; '.join(faults)}")
        else:
            ready.append(kind)
    yield DoctorFinding("stage kinds", "ok", f"run here: {', '.join(ready)}")


def _patches() -> Iterator[DoctorFinding]:
    """Every patch is really applied, in a fresh process."""
    answer, error = _python(["-c", _APPLY], {"VERL_PLATFORM": "cpu"} if device.resolve_device("auto") == "cpu" else {})
    if answer is None:
        yield DoctorFinding("patches", "trouble", f"the process failed: {error}")
        return
    for name, state, detail in answer:
        state, _, reason = state.partition(": ")
        yield DoctorFinding(f"patch: {name}", "trouble" if state == "refused" else state, detail or reason)


def _verl_processes() -> Iterator[DoctorFinding]:
    version = compat.find_installed_version("verl")
    if version is None or compat.find_version_problem("verl", version) is not None:
        return  # what another release does not load is no fault of this installation; its version is told above
    with TemporaryDirectory(prefix="mgd") as scratch:
        token = Path(scratch) / "token"  # a cluster's own; without it Ray writes one into the home folder
        token.write_text(secrets.token_hex(32))
        env = {"RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_worker_prestart": "0"}
        for check, code in (("verl loads us: fresh process", _VERL), ("verl loads us: Ray worker", _RAY)):
            answer, error = _python(["-c", code, scratch], env)
            if answer is None:
                yield DoctorFinding(check, "trouble", f"the process failed: {error}")
            elif answer["loaded"]:
                yield DoctorFinding(check, "ok", f"entry point verl.plugins → mindgpt_plugins.verl_ext.entry {answer}")
            else:
                fix = "reinstall mindgpt-plugins into this interpreter; VERL_USE_EXTERNAL_PLUGINS must not exclude it"
                yield DoctorFinding(check, "trouble", f"verl started without us: {fix}")


def _llamafactory_seams() -> Iterator[DoctorFinding]:
    """Read in the installed source, nothing is imported: a few hundredths of a second."""
    if compat.find_installed_version("llamafactory") is None:
        return
    from mindgpt_plugins.llamafactory_ext.seams import inspect_seams

    statuses = inspect_seams()
    for status in statuses:
        if not status.ok:
            yield DoctorFinding(f"seam: {status.seam.module}.{status.seam.name}", "trouble", status.detail)
    sound = sum(status.ok for status in statuses)
    yield DoctorFinding(
        "LLaMA-Factory seams", "ok" if sound == len(statuses) else "trouble", f"{sound} of {len(statuses)} present"
    )


def _python(arguments: list[str], extra: dict[str, str]) -> tuple[Any, str]:
    """Run a snippet as a stage would be run; return what it printed after MINDGPT, or its last error line."""
    env = build_child_environment(cpu=device.resolve_device("auto") == "cpu", offline=True, extra=extra)
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=_SUBPROCESS_SECONDS,
            cwd=Path.home(),
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {_SUBPROCESS_SECONDS} s"
    for line in done.stdout.splitlines():
        if line.startswith("MINDGPT"):
            return json.loads(line.removeprefix("MINDGPT")), ""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return None, lines[-1] if lines else f"exit status {done.returncode}"
