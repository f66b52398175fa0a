"""``python -m mindgpt_plugins.cli``: the same as the ``mindgpt`` command."""

from mindgpt_plugins.cli import main

main()
