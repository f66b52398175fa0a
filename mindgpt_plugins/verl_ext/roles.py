"""Does every process of the run have our code? verl goes on without a plugin that did not load, so we look.

The trainer asks every Ray actor it can reach, before the first step.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mindgpt_plugins.verl_ext.settings import VerlSettingsError

ENTRY = "mindgpt_plugins.verl_ext.entry"
DRIVER = "MINDGPT_DRIVER"
"""Set by the entry point in the first process of a run that requires us; Ray's workers inherit it."""


def report_presence(actor: Any, manager: str | None = None) -> dict[str, Any]:
    """Runs inside an actor: who is it, and is our code there as verl loads it?

    Args:
        actor: the actor's own object.
        manager: class its ``reward_manager`` must have.
    """
    problems = []
    if ENTRY not in sys.modules:
        problems.append("verl did not load mindgpt-plugins' entry point")
    found = type(getattr(actor, "reward_manager", None)).__name__
    if manager is not None and found != manager:
        problems.append(f"rewards are computed by {found}, not {manager}")
    return {"pid": os.getpid(), "version": version("mindgpt-plugins"), "problems": problems}


def check_roles(roles: Mapping[str, Sequence[Any]], manager: str) -> dict[str, list[int]]:
    """Ask every actor of every role.

    Args:
        roles: role → Ray actor handles; the role ``reward`` must compute with ``manager``.
        manager: name of our reward manager's class.

    Returns:
        Role → process ids.

    Raises:
        SettingsError: naming role and process, when our code is missing there or of another version.
    """
    import ray

    asked = [
        (role, handle.__ray_call__.remote(report_presence, manager if role == "reward" else None))
        for role, handles in roles.items()
        for handle in handles
    ]
    pids: dict[str, list[int]] = {role: [] for role in roles}
    mine = version("mindgpt-plugins")
    for (role, _), answer in zip(asked, ray.get([call for _, call in asked]), strict=True):
        problems = list(answer["problems"])
        if answer["version"] != mine:
            problems.append(f"mindgpt-plugins {answer['version']} there, {mine} here")
        if problems:
            raise VerlSettingsError(
                f"role {role}, process {answer['pid']}: {'; '.join(problems)}. `mindgpt doctor` in that environment "
                "shows why"
            )
        pids[role].append(int(answer["pid"]))
    return pids


def check_driver(own_cluster: bool) -> int | None:
    """Process id of the driver, if it is known to have loaded us.

    Args:
        own_cluster: the driver has started Ray itself, so this process has its environment.

    Raises:
        SettingsError: the run requires us and its driver did not load us.
    """
    pid = os.environ.get(DRIVER)
    if own_cluster and os.environ.get("MINDGPT_REQUIRED") == "1" and pid in (None, str(os.getpid())):
        raise VerlSettingsError(
            "the driver (python -m verl.trainer.main_ppo) did not load mindgpt-plugins' entry point"
        )
    return None if pid in (None, str(os.getpid())) else int(str(pid))
