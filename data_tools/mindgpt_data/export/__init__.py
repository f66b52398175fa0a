"""Writes and reads a datasets folder: one layout for LLaMA-Factory, verl, the evaluator and self-training.

``<set>.json`` (sharegpt) · ``<set>.jsonl`` (rows) · ``<set>.parquet`` (verl) · ``<set>.hf/`` (Hugging Face, optional) ·
``dataset_info.json`` · ``images/``. Every file is written aside and renamed, so a killed writer leaves either the old
file or the new one.
"""

from mindgpt_data.export.pictures import copy_picture, hash_stored_picture, save_image
from mindgpt_data.export.sets import (
    list_sets,
    read_preference_set,
    read_set,
    remove_set,
    remove_unused_pictures,
    write_preference_set,
    write_set,
)

__all__ = [
    "hash_stored_picture",
    "copy_picture",
    "read_preference_set",
    "read_set",
    "remove_set",
    "remove_unused_pictures",
    "save_image",
    "list_sets",
    "write_preference_set",
    "write_set",
]
