"""The parser stands on the ground floor: the standard library and two modules of `core` suffice to import it."""

import subprocess
import sys


def test_importing_the_parser_imports_next_to_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import mindgpt_plugins.answers;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "ours = {name for name in sys.modules if name.startswith('mindgpt_plugins.') and '.answers' not in name};"
        "print(sorted(new - set(sys.stdlib_module_names)), sorted(ours))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    core = ["mindgpt_plugins.core", "mindgpt_plugins.core.errors", "mindgpt_plugins.core.json_text"]
    assert done.stdout.strip() == f"['mindgpt_plugins'] {core}"
