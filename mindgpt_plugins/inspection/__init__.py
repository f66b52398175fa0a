"""Reads a set row by row and finds what its trainer would refuse, drop or see otherwise than a person.

No host import.
"""
