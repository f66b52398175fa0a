"""Sizes of models, lengths of rows and what passes over them cost: figures that need no trainer and no weights."""
