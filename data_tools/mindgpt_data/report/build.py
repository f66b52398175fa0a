"""Writes ``report.html`` and ``report.json`` into a work folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_data.io.work import Work
from mindgpt_data.report.figures import collect_figures
from mindgpt_data.report.load import load_report_inputs
from mindgpt_data.report.page import render_report
from mindgpt_data.report.thumbs import Thumbs
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.tree.model import Tree
from mindgpt_plugins.core import files


def write_data_report(
    work: Work, settings: DataSettings, trees: Mapping[str, Tree], *, seed: int = 0
) -> tuple[Path, dict[str, Any]]:
    """Read what the steps have written so far and write the report.

    Returns:
        Path of ``report.html`` (``report.json`` lies beside it), and the figures.

    Raises:
        FileError: the folder is missing, or a file in it is malformed. Steps that have not run are no error.
    """
    if not work.folder.is_dir():
        raise files.FileError(f"there is no work folder {work.folder}; name one with --work")
    corpus = load_report_inputs(work, settings, trees, seed=seed)
    data = collect_figures(corpus)
    page = render_report(data, Thumbs(corpus.images or {}, work.folder))
    # File names that are no UTF-8 reach us as lone surrogates, which no file can hold.
    text = json.dumps(data, indent=1, ensure_ascii=False)
    files.write_text(work.folder / "report.json", _utf8(text) + "\n")
    path = work.folder / "report.html"
    files.write_text(path, _utf8(page))
    return path, data


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
