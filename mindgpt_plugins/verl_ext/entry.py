"""The ``verl.plugins`` entry point: verl imports this module in every process, at the end of ``import verl``.

It stays light (standard library only; < 0.3 s) and changes nothing by itself: it registers the trainers ``mindgpt_…``
when verl's own trainer package is loaded, which is long after ``import verl``. The CPU platform and its patches come in
only under ``VERL_PLATFORM=cpu``, other patches only when ``MINDGPT_PATCHES`` names them.

verl swallows what an entry point raises, so that a broken plugin would train on without us. Here the traceback goes to
stderr, and a process that was asked to run with us (``MINDGPT_REQUIRED=1``, set by ``mindgpt run``) stops.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TRAINERS = "verl.trainer.ppo.v1"
OURS = "mindgpt_plugins.verl_ext.trainer"


class RegisterTrainerFinder:
    """Imports our trainer right after verl's trainer package has been imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return verl's own spec with one more step after execution, for that one package only."""
        if name != TRAINERS:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            guard_action(lambda: importlib.import_module(OURS))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def guard_action(action: object) -> None:
    """Run an action; report a failure, and end the process if this run requires us."""
    try:
        action()  # type: ignore[operator]
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        message = f"mindgpt: cannot set up verl: {type(error).__name__}: {error}. Run `mindgpt doctor` for the cause."
        print(message, file=sys.stderr, flush=True)
        if os.environ.get("MINDGPT_REQUIRED") == "1":
            raise SystemExit(message) from error


def refuse_other_ranks(arguments: Sequence[str]) -> None:
    """End a run that would meet a checkpoint of another number of ranks, before Ray comes up.

    Only the driver has Hydra overrides on its command line.

    Raises:
        SystemExit: the number of ranks, the checkpoint and the key that decides.
    """
    if not any(argument.startswith("trainer.default_local_dir=") for argument in arguments):
        return
    from mindgpt_plugins.verl_ext.checkpoints import find_command_mismatch

    problem = find_command_mismatch(arguments)
    if problem is not None:
        raise SystemExit(f"mindgpt: error: {problem}")


def install_plugin() -> None:
    """Everything this module does. Loading twice is harmless."""
    if os.environ.get("MINDGPT_REQUIRED") == "1":
        refuse_other_ranks(sys.argv[1:])
        os.environ.setdefault("MINDGPT_DRIVER", str(os.getpid()))  # inherited by Ray's workers; see roles.py
    if os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu":
        from mindgpt_plugins.verl_ext import platform_cpu

        platform_cpu.install_cpu_platform()
    if os.environ.get("MINDGPT_PATCHES"):
        from mindgpt_patches.catalog import apply_from_environment

        apply_from_environment()
    if any(type(finder).__name__ == RegisterTrainerFinder.__name__ for finder in sys.meta_path):
        return
    if TRAINERS in sys.modules:
        importlib.import_module(OURS)
    else:
        sys.meta_path.insert(0, RegisterTrainerFinder())


guard_action(install_plugin)
