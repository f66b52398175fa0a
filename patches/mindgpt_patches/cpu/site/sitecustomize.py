"""Put on ``PYTHONPATH`` of processes that ``mindgpt`` launches on machines without an accelerator.

Python imports ``sitecustomize`` at start-up, so Ray workers, torchrun ranks and DataLoader workers get it as well. An
existing ``sitecustomize`` further down the path still runs: this one hands over to it.
"""

import importlib.machinery
import importlib.util
import pathlib
import sys

_here = pathlib.Path(__file__).resolve().parent


def _load(path: pathlib.Path, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if name == "_mindgpt_cpu_wheels":
        module.install_finder()


_load(_here.parent / "wheels.py", "_mindgpt_cpu_wheels")

_paths = [pathlib.Path(entry or ".").resolve() for entry in sys.path]
_rest = sys.path[_paths.index(_here) + 1 :]
_next = importlib.machinery.PathFinder.find_spec("sitecustomize", _rest)
if _next is not None and _next.origin is not None:
    _load(pathlib.Path(_next.origin), "_mindgpt_chained_sitecustomize")
