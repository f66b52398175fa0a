"""The findings in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mindgpt_plugins.explain.words import SECTIONS, headlines, notes, percent, rates, short

WIDE = 70
"""Characters of a reply that are shown."""
ALIVE = 8
"""Parameters with an effect that are shown."""


def show(console: Console, data: dict[str, Any]) -> None:
    """Print everything, the headlines first."""
    span = f"steps {data['steps'][0]}–{data['steps'][-1]}" if len(data["steps"]) > 1 else f"step {data['steps'][0]}"
    console.print(
        f"[bold]{escape(data['recipe'])}[/] on {data['replies']} replies to {data['groups']} prompts, {span}; "
        f"advantage {escape(data['advantage'])}; {data['seconds']:.1f} s",
        soft_wrap=True,
    )
    for note in notes(data):
        console.print(f"  [yellow]note[/] {escape(note)}", soft_wrap=True)
    found = headlines(data)
    console.print("[bold]What stands out[/]" if found else "[green]Nothing stands out.[/]")
    for line in found:
        console.print(f"  • {escape(line)}")
    for key in ("rewards", "shares", "by_right", "order", "flips", "exchange", "parameters"):
        if data[key] is not None:
            title, told = SECTIONS[key]
            console.print(f"\n[bold]{title}[/]\n[dim]{told}[/]")
            globals()[f"_{key}"](console, data[key])


def _rewards(console: Console, rows: list[dict[str, Any]]) -> None:
    table = Table("reward", "role", "scored", "mean", "std", "min", "max", "most frequent", "alike in group", "")
    for r in rows:
        most = "–" if r["most"] is None else f"{r['most']:.3g} ({percent(r['share'], 1)})"
        flat = "–" if r["flat"] is None else percent(r["flat"], 1)
        figures = [short(r[key]) for key in ("mean", "std", "low", "high")]
        verdict = "" if r["verdict"] == "ok" else f"[yellow]{r['verdict'].replace('_', ' ')}[/]"
        table.add_row(escape(r["name"]), r["role"], percent(r["scored"], 1), *figures, most, flat, verdict)
    console.print(table)


def _shares(console: Console, shares: dict[str, Any]) -> None:
    table = Table("part", "role", "share of |A|", "", "first", "last part of the run")
    for name, part in shares["parts"].items():
        bar = "█" * round(20 * min(1.0, part["share"]))
        ends = [percent(part["curve"][i][1], 1) if part["curve"] else "–" for i in (0, -1)]
        table.add_row(escape(name), part["role"], percent(part["share"], 1), f"[cyan]{bar}[/]", *ends)
    console.print(table)
    console.print(f"mean |A| of a reply: {short(shares['abs_mean'])}")


def _by_right(console: Console, found: dict[str, Any]) -> None:
    table = Table(
        f"right of {found['n']}", "groups", "Σ|A|", "", "share of all", "A right", "A wrong", "bare first", "last"
    )
    most = max((r["push"] or 0.0 for r in found["rows"]), default=0.0) or 1.0
    for r in found["rows"]:
        bar = "█" * round(20 * (r["push"] or 0.0) / most)
        figures = [short(r[key]) for key in ("right_mean", "wrong_mean", "start", "end")]
        table.add_row(
            str(r["right"]), str(r["groups"]), short(r["push"]), f"[cyan]{bar}[/]", percent(r["share"], 1), *figures
        )
    console.print(table)
    if found["other_sizes"]:
        console.print(f"{found['other_sizes']} groups of other sizes count at the nearest share")


def _order(console: Console, order: dict[str, Any]) -> None:
    console.print(f"a wrong reply at or above a right one: {order['order']} of {order['mixed']} mixed groups")
    console.print(
        f"right replies pushed down: {order['pushed_down']} of {order['right']}, {order['pushed_down_mixed']} of them in "
        "mixed groups"
    )
    console.print(f"groups without signal: {order['no_signal']} of {order['groups']}")
    _examples(console, order["examples"])


def _flips(console: Console, flips: dict[str, Any]) -> None:
    kinds = ", ".join(f"{count} {told}" for key, told in _KINDS.items() if (count := flips["kinds"][key]))
    console.print(
        f"flipped: {flips['flipped']} of {flips['pairs']} ordered pairs, in {flips['groups']} groups"
        + (f": {kinds}" if kinds else "")
    )
    console.print(
        f"ordered by only one of them: {flips['tied']} pairs; pushed up by one and down by the other: {flips['signs']} replies"
    )
    console.print(
        f"correlation of A {short(flips['correlation'])}; mean |A| {' against '.join(map(short, flips['push']))}"
    )
    _examples(console, flips["examples"])


_KINDS = {"mixed": "a right with a wrong reply", "right": "two right ones", "wrong": "two wrong ones"}


def _examples(console: Console, examples: list[dict[str, Any]]) -> None:
    for e in examples[:3]:
        console.print(
            f"  [dim]step {e['step']}, {escape(e['group'])}:[/] {escape(_clip(e['prompt']))} [dim]gold[/] {escape(_clip(e['target']))}"
        )
        for r in e["replies"]:
            against = f", against {short(r['A_against'])}" if "A_against" in r else ""
            mark = "[green]✓[/]" if r["right"] else "[red]✗[/]"
            console.print(f"    {mark} A {short(r['A'])}{against} · {r['tokens']} tokens · {escape(_clip(r['text']))}")


def _exchange(console: Console, exchange: dict[str, Any]) -> None:
    for line in rates(exchange):
        console.print(f"  {escape(line)}")
    bands = exchange["end"]["bands"]
    if any(band["rate"] is not None for band in bands):
        table = Table("right in the group", "groups", "tokens per point, last step's weights")
        for band in bands:
            rate = "free" if band["rate"] is None else short(float(band["rate"]))
            table.add_row(_band(band), str(band["groups"]), rate)
        console.print(table)


def _band(band: dict[str, Any]) -> str:
    return "all" if band["above"] > 0.9 else f"{100 * band['above']:.0f}–{100 * min(1.0, band['to']):.0f} %"


def _parameters(console: Console, rows: list[dict[str, Any]]) -> None:
    dead = [r for r in rows if r["dead"]]
    table = Table("parameter", "value", "tried", "largest |ΔA|", "replies moved", "why")
    alive = sorted((r for r in rows if r["max_change"] and not r["dead"]), key=lambda r: -r["max_change"])
    for r in dead + alive[:ALIVE]:
        name = escape(r["path"]) + (" [dim](default)[/]" if r["default"] else "")
        style = "yellow" if r["dead"] and not r["default"] else None
        moved = "–" if r["moved"] is None else percent(r["moved"], 1)
        tried = ", ".join(short(v) for v in r["tried"])
        table.add_row(name, short(r["value"]), tried, short(r["max_change"]), moved, escape(r["why"]), style=style)
    console.print(table)
    untried = [r for r in rows if r["max_change"] is None]
    rest = len(alive) - ALIVE
    if rest > 0:
        console.print(f"… {rest} more have an effect; --html and --json list all", style="dim")
    for r in untried:
        console.print(f"[dim]{escape(r['path'])}: {escape(r['why'])}[/]")


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDE else f"{line[: WIDE - 1]}…"
