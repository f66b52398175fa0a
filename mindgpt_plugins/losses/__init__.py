"""Losses of the SFT stages: plain torch, imported when used, no host import."""
