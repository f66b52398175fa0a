"""Stages as a resumable, content-addressed chain."""
