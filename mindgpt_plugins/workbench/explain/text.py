"""The findings in a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mindgpt_plugins.workbench.explain.words import (
    SECTIONS,
    describe_exchange_rate,
    format_percent_or_dash,
    format_rate_interval,
    format_share_band,
    format_short_number,
    list_dead_parameters,
    list_headlines,
    list_reader_notes,
)

WIDE = 70
"""Characters of a reply that are shown."""
ALIVE = 8
"""Parameters with an effect that are shown."""


def show_explanation(console: Console, data: dict[str, Any]) -> None:
    """Print everything, the headlines first."""
    span = f"steps {data['steps'][0]}–{data['steps'][-1]}" if len(data["steps"]) > 1 else f"step {data['steps'][0]}"
    console.print(
        f"[bold]{escape(data['recipe'])}[/] on {data['replies']} replies to {data['groups']} prompts, {span}; "
        f"advantage {escape(data['advantage'])}; {data['seconds']:.1f} s",
        soft_wrap=True,
    )
    for note in list_reader_notes(data):
        console.print(f"  [yellow]note[/] {escape(note)}", soft_wrap=True)
    found = list_headlines(data)
    console.print("[bold]What stands out[/]" if found else "[green]Nothing stands out.[/]")
    for line in found:
        console.print(f"  • {escape(line)}")
    for key in ("rewards", "shares", "by_right", "order", "flips", "exchange", "parameters"):
        if data[key] is not None:
            title, told = SECTIONS[key]
            console.print(f"\n[bold]{title}[/]\n[dim]{told}[/]")
            globals()[f"_{key}"](console, data[key])


def _rewards(console: Console, rows: list[dict[str, Any]]) -> None:
    table = _table("reward", "role", "mean ± std", "range", "most frequent", "alike in group", "verdict")
    for r in rows:
        most = (
            "–" if r["most"] is None else f"{format_short_number(r['most'])}: {format_percent_or_dash(r['share'], 1)}"
        )
        flat = "–" if r["flat"] is None else format_percent_or_dash(r["flat"], 1)
        verdict = "[green]ok[/]" if r["verdict"] == "ok" else f"[yellow]{r['verdict'].replace('_', ' ')}[/]"
        if r["verdict"] != "never_scored" and r["scored"] < 1.0:
            verdict += f", scored {format_percent_or_dash(r['scored'], 1)}"
        spread, reach = (
            f"{format_short_number(r['mean'])} ± {format_short_number(r['std'])}",
            f"{format_short_number(r['low'])} … {format_short_number(r['high'])}",
        )
        table.add_row(escape(r["name"]), r["role"], spread, reach, most, flat, verdict)
    console.print(table)


def _shares(console: Console, shares: dict[str, Any]) -> None:
    table = _table("part", "role", "share of |A|", "", "first part", "last part of the run")
    for name, part in shares["parts"].items():
        bar = "█" * round(12 * min(1.0, part["share"]))
        ends = [format_percent_or_dash(part["curve"][i][1], 1) if part["curve"] else "–" for i in (0, -1)]
        table.add_row(escape(name), part["role"], format_percent_or_dash(part["share"], 1), f"[cyan]{bar}[/]", *ends)
    console.print(table)
    console.print(f"mean |A| of a reply: {format_short_number(shares['abs_mean'])}")


def _by_right(console: Console, found: dict[str, Any]) -> None:
    table = _table(f"right of {found['n']}", "groups", "Σ|A|", "", "share", "A right", "A wrong", "bare first", "last")
    most = max((r["push"] or 0.0 for r in found["rows"]), default=0.0) or 1.0
    for r in found["rows"]:
        bar = "█" * round(12 * (r["push"] or 0.0) / most)
        figures = [format_short_number(r[key]) for key in ("right_mean", "wrong_mean", "start", "end")]
        table.add_row(
            str(r["right"]),
            str(r["groups"]),
            format_short_number(r["push"]),
            f"[cyan]{bar}[/]",
            format_percent_or_dash(r["share"], 1),
            *figures,
        )
    console.print(table)
    if found["other_sizes"]:
        console.print(f"{found['other_sizes']} groups of other sizes count at the nearest share")


def _order(console: Console, order: dict[str, Any]) -> None:
    console.print(f"a wrong reply at or above a right one: {order['order']} of {order['mixed']} mixed groups")
    console.print(
        f"right replies pushed down: {order['pushed_down']} of {order['right']}, {order['pushed_down_mixed']} of them "
        "in mixed groups"
    )
    console.print(f"groups without signal: {order['no_signal']} of {order['groups']}")
    _examples(console, order["examples"])


def _flips(console: Console, flips: dict[str, Any]) -> None:
    kinds = ", ".join(f"{count} {told}" for key, told in _KINDS.items() if (count := flips["kinds"][key]))
    where = f"in {flips['groups']} groups{': ' if kinds else ''}{kinds}"
    console.print(f"flipped: {flips['flipped']} of {flips['pairs']} ordered pairs, {where}")
    console.print(f"ordered by only one of them: {flips['tied']} pairs")
    console.print(f"pushed up by one and down by the other: {flips['signs']} replies")
    push = " against ".join(map(format_short_number, flips["push"]))
    console.print(f"correlation of A {format_short_number(flips['correlation'])}; mean |A| {push}")
    _examples(console, flips["examples"])


_KINDS = {"mixed": "a right with a wrong reply", "right": "two right ones", "wrong": "two wrong ones"}


def _examples(console: Console, examples: list[dict[str, Any]]) -> None:
    for e in examples[:3]:
        where, asked, gold = f"step {e['step']}, {e['group']}", _clip(e["prompt"]), _clip(e["target"])
        console.print(f"  [dim]{escape(where)}:[/] {escape(asked)} [dim]gold[/] {escape(gold)}")
        for r in e["replies"]:
            against = f", against {format_short_number(r['A_against'])}" if "A_against" in r else ""
            mark = "[green]✓[/]" if r["right"] else "[red]✗[/]"
            console.print(
                f"    {mark} A {format_short_number(r['A'])}{against} · {r['tokens']} tokens · "
                f"{escape(_clip(r['text']))}"
            )


def _exchange(console: Console, exchange: dict[str, Any]) -> None:
    for line in describe_exchange_rate(exchange):
        console.print(f"  {escape(line)}")
    bands = exchange["end"]["bands"]
    if any(one["rate"] is not None for one in bands):
        table = _table("right in the group", "groups", "tokens per point, last step's weights")
        for one in bands:
            table.add_row(format_share_band(one), str(one["groups"]), format_rate_interval(one))
        console.print(table)


def _parameters(console: Console, rows: list[dict[str, Any]]) -> None:
    console.print("Without effect:" if any(r["dead"] for r in rows) else "Every one has an effect.")
    for line in list_dead_parameters(rows):
        console.print(f"  • {escape(line)}")
    alive = sorted((r for r in rows if r["max_change"] and not r["dead"]), key=lambda r: -r["max_change"])
    table = _table("largest effect", "value", "tried", "largest |ΔA|", "replies moved")
    for r in alive[:ALIVE]:
        tried = ", ".join(format_short_number(v) for v in r["tried"])
        moved = format_percent_or_dash(r["moved"], 1)
        table.add_row(
            escape(r["path"]), format_short_number(r["value"]), tried, format_short_number(r["max_change"]), moved
        )
    console.print(table)
    if len(alive) > ALIVE:
        console.print(f"… {len(alive) - ALIVE} more have an effect; --html and --json list all", style="dim")
    for r in rows:
        if r["max_change"] is None:
            console.print(f"[dim]{escape(r['path'])}: {escape(r['why'])}[/]")


def _table(*head: str) -> Table:
    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    return table


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDE else f"{line[: WIDE - 1]}…"
