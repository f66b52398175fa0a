"""Formatting shared by the sections of the page."""

from __future__ import annotations

import base64
import io
from functools import cache
from html import escape
from pathlib import Path

LARGEST_IMAGE = 256
"""Longest side in pixels of an embedded picture."""
MISSING = '<span class="soft">–</span>'


def points(share: float | None, *, sign: bool = False) -> str:
    """A share as percentage points with one decimal; a dash when there is none."""
    if share is None:
        return MISSING
    return f"{100 * share:+.1f}" if sign else f"{100 * share:.1f}"


def figure(key: str, value: float | None, *, sign: bool = False, unit: str = "") -> str:
    """A headline figure that carries its ``report.json`` key and exact value."""
    if value is None:
        return MISSING
    return f'<data data-key="{key}" value="{value!r}">{points(value, sign=sign)}</data>{unit}'


def seconds(value: float) -> str:
    """``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if value >= 3600:
        return f"{int(value // 3600)} h {int(value % 3600 // 60):02d} min"
    return f"{int(value // 60)} min {int(value % 60):02d} s" if value >= 60 else f"{value:.0f} s"


def tone(good: bool) -> str:
    """Class of a good or bad figure."""
    return "good" if good else "bad"


def breakable(label: str) -> str:
    """A dotted label that may wrap after its dots, and nowhere else."""
    return escape(label).replace(".", ".<wbr>").replace("_", "_<wbr>")


def table(head: list[str], rows: list[list[str]], *, numeric: range = range(1, 99)) -> str:
    """A scrollable table of ready HTML cells; the columns of ``numeric`` are right-aligned."""
    top = "".join(f"<th{' class=num' if i in numeric else ''}>{cell}</th>" for i, cell in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(
            f"<th>{cell}</th>" if i == 0 else f"<td{' class=num' if i in numeric else ''}>{cell}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


@cache
def picture(path: str) -> str:
    """An ``img`` with the picture inside the page, scaled down when large; its name when it cannot be read."""
    try:
        from PIL import Image

        with Image.open(path) as image:
            shown = image.convert("RGB")
    except ImportError:
        return f'<span class="soft">[{escape(Path(path).name)}: install pillow to embed pictures]</span>'
    except OSError:
        return f'<span class="soft">[picture {escape(Path(path).name)} is not there any more]</span>'
    shown.thumbnail((LARGEST_IMAGE, LARGEST_IMAGE))
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG", optimize=True)
    if buffer.tell() > 60_000:  # a photograph
        buffer = io.BytesIO()
        shown.save(buffer, format="JPEG", quality=80)
    kind = "png" if buffer.getvalue()[:4] == b"\x89PNG" else "jpeg"
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/{kind};base64,{data}">'
