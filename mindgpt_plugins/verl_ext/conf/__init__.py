"""Packaged Hydra configurations: ``--config-path pkg://mindgpt_plugins.verl_ext.conf --config-name mindgpt_cpu``."""
