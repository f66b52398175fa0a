"""``mindgpt llamafactory train x.yaml [key=value …]``: the host's command with a ``mindgpt:`` section understood."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(argv: list[str]) -> None:
    """Become our LLaMA-Factory launcher with the environment a stage would get.

    Everything after ``llamafactory`` is the host's own command line; without a ``mindgpt:`` section the stock command
    runs. Relative paths keep meaning what they mean to the host.
    """
    from mindgpt_plugins.core.device import resolve_device
    from mindgpt_plugins.core.process import build_child_environment

    if not argv or argv[0] in ("-h", "--help"):
        print("usage: mindgpt llamafactory train CONFIG.yaml [key=value …]\n")
        print("CONFIG is an ordinary LLaMA-Factory YAML; add a `mindgpt:` section for curriculum, loss and logs.")
        print("Other LLaMA-Factory commands (export, chat, env, …) are passed on as they are.")
        raise SystemExit(0 if argv else 2)
    if argv[0] == "train" and len(argv) > 1 and not argv[1].startswith("-") and not Path(argv[1]).is_file():
        raise FileNotFoundError(f"config file {argv[1]!r} does not exist")
    environment = build_child_environment(cpu=resolve_device("auto") == "cpu", offline=False, extra={})
    sys.stdout.flush()
    os.execve(
        sys.executable,
        [sys.executable, "-m", "mindgpt_plugins.llamafactory_ext", *argv],
        {**os.environ, **environment},
    )
