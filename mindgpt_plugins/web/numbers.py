"""Numbers as people read them. Each formatter returns plain text; of nothing, None, which a page shows as a dash."""

from __future__ import annotations

from typing import Any


def format_points(share: float, sign: bool = False) -> str:
    """Write a share as percentage points with one decimal: ``0.375`` is ``37.5``."""
    return f"{100 * share:+.1f}" if sign else f"{100 * share:.1f}"


def format_percent(part: float | None, whole: float | None = 1.0) -> str | None:
    """Write ``part`` of ``whole`` as ``37.5 %``; None when there is nothing to take a share of."""
    if part is None or not whole:
        return None
    share = 100 * part / whole
    return f"{share:.0f} %" if share == 0 or share >= 99.95 else f"{share:.1f} %"


def format_count(value: float) -> str:
    """Write a whole number with separators: ``12,345``."""
    return f"{value:,.0f}"


def format_number(value: Any) -> str:
    """Write a number with about three digits, for axes and table cells; whole numbers and switches stay as they are.

    Examples:
        ``0.12345`` is ``0.123``, ``12345.0`` is ``12.3k``, ``0.00001`` is ``1e-5``, ``True`` is ``true``.
    """
    if isinstance(value, (bool, int, str)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    size = abs(value)
    if size < 1e-12:
        return "0"
    if size < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-")
    if size < 999.5:
        return f"{value:.3g}"
    if size < 1e4:
        return f"{value:.0f}"
    for unit, name in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        if size < 999.5 * unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def format_duration(seconds: float) -> str:
    """Write a time as ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s" if seconds >= 60 else f"{seconds:.0f} s"
