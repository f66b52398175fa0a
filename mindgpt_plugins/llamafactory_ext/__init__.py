"""The only place that imports LLaMA-Factory. ``python -m mindgpt_plugins.llamafactory_ext train x.yaml [key=value …]``.

The user's ordinary LLaMA-Factory YAML with one extra section, ``mindgpt:`` (see :mod:`.settings`). Without the section
the stock command runs and nothing of ours is loaded.
"""
