"""Installed but not asked for, we change nothing and cost next to nothing."""

import json
import os
import subprocess
import sys

import pytest

CHECK = """
import json, sys, time
before = set(sys.modules)
start = time.process_time()
import mindgpt_plugins.verl_ext.entry
seconds = time.process_time() - start
new = {name.split('.')[0] for name in set(sys.modules) - before}
heavy = sorted(new & {'torch', 'ray', 'transformers', 'pydantic'})
print(json.dumps({'seconds': seconds, 'heavy': heavy}))
"""


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MINDGPT_", "VERL_"))}
    return subprocess.run([sys.executable, "-c", code], env=clean | env, capture_output=True, text=True, timeout=300)


def test_the_entry_point_is_light():
    got = json.loads(run(CHECK).stdout)
    assert got["heavy"] == []
    assert got["seconds"] < 0.3


def test_a_failure_is_printed_and_ends_a_process_that_requires_us():
    code = "import mindgpt_plugins.verl_ext.entry; print('went on')"
    quiet = run(code, MINDGPT_PATCHES="no_such_patch")
    assert "went on" in quiet.stdout
    assert "there is no patch 'no_such_patch'" in quiet.stderr
    loud = run(code, MINDGPT_PATCHES="no_such_patch", MINDGPT_REQUIRED="1")
    assert loud.returncode == 1
    assert "went on" not in loud.stdout
    assert "mindgpt: cannot set up verl" in loud.stderr


def test_installed_but_not_asked_for_verl_is_unchanged():
    pytest.importorskip("verl")
    code = """
import json, sys
import verl, verl.utils.distributed, verl.utils.tensordict_utils
from verl.plugin.platform import PlatformRegistry
from torch.distributed.fsdp import CPUOffloadPolicy
functions = [verl.utils.distributed.initialize_global_process_group_ray, CPUOffloadPolicy.__init__,
             verl.utils.tensordict_utils.maybe_fix_3d_position_ids]
print(json.dumps({
    'platforms': sorted(PlatformRegistry.registered_names()),
    'patched': [f.__module__ for f in functions if 'mindgpt' in f.__module__ or hasattr(f, '__mindgpt_patch__')],
    'ours': sorted(m for m in sys.modules if m.startswith('mindgpt')),
}))
"""
    got = json.loads(run(code).stdout.splitlines()[-1])
    assert "cpu" not in got["platforms"]
    assert got["patched"] == []
    assert set(got["ours"]) <= {"mindgpt_plugins", "mindgpt_plugins.verl_ext", "mindgpt_plugins.verl_ext.entry"}


def test_the_trainer_registers_when_verls_trainers_load():
    pytest.importorskip("transfer_queue")
    code = "from verl.trainer.ppo.v1 import get_trainer_cls; print(get_trainer_cls('mindgpt_sync').__module__)"
    done = run(code)
    assert done.stdout.splitlines()[-1:] == ["mindgpt_plugins.verl_ext.trainer"], done.stderr[-2000:]
