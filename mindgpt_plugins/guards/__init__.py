"""Notices training that has gone wrong: numbers that are not finite, checkpoints and weights, curves that collapse."""
