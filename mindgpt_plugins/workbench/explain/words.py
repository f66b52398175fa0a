"""Sentences that the terminal and the page share: what each section means, and what stands out."""

from __future__ import annotations

import math
from typing import Any

from mindgpt_plugins.web.numbers import format_number, format_percent

SECTIONS = {
    "rewards": (
        "Rewards",
        "What each reward said. One with the same value everywhere, or within every group, teaches nothing: advantages "
        "compare the replies to one prompt. Modulators count on right replies only.",
    ),
    "shares": (
        "Whose push is it?",
        "The share of |A| that changes when a part is left out. The only task has 100 %; parts that pull against each "
        "other add up to more.",
    ),
    "by_right": (
        "The weight of a prompt",
        "Σ|A| over the replies to one prompt, by how many are right: where the update goes. 'bare' is the same for "
        "right and wrong alone, without modulators, at the first and the last step's λ.",
    ),
    "order": (
        "Order",
        "Does every right reply end up above every wrong one? A right reply can still be pushed down: below its "
        "group's mean, for example when it is long and the group is nearly solved.",
    ),
    "flips": (
        "Order flips between the two recipes",
        "Pairs of replies to one prompt that one recipe orders one way and the other the other way: what you really "
        "change when you change the recipe.",
    ),
    "exchange": (
        "What length costs",
        "Tokens that the right replies may grow by before that costs as much as one point of accuracy brings. A small "
        "number: the recipe would give up accuracy for brevity.",
    ),
    "parameters": (
        "Hyper-parameters that change nothing",
        "Every number and switch was changed by half, up and down (switches: turned), and the advantages compared. One "
        "that moves no advantage here decides nothing on replies like these.",
    ),
}
"""Key of the data → title and explanation."""
_BAD = ("never_scored", "never_fires", "saturated", "no_spread")
_END = "with the last step's weights"
ENOUGH = 300
"""Replies from which on a share of 100 % means at least 99 % of others (rule of three)."""
UNUSUAL = 0.5
"""Tokens per point of accuracy below which length is pressed hard."""


def list_headlines(data: dict[str, Any]) -> list[str]:
    """What a reader should know first, worst first."""
    found = [
        f"reward {r['name']}: {r['verdict'].replace('_', ' ')}: {r['told']}"
        for r in data["rewards"]
        if r["verdict"] in _BAD
    ]
    found += [
        f"reward {r['name']} saturates late: {r['told']}" for r in data["rewards"] if r["verdict"] == "saturates_late"
    ]
    order, flips = data["order"], data["flips"]
    if order["order"]:
        found.append(f"in {order['order']} of {order['mixed']} mixed groups a wrong reply is at or above a right one")
    if order["no_signal"]:
        found.append(
            f"{format_percent_or_dash(order['no_signal'], order['groups'])} of the groups have no signal: every A is 0"
        )
    if flips and flips["flipped"]:
        pairs = f"{flips['flipped']} of {flips['pairs']} ordered pairs"
        found.append(f"the recipes order {pairs} the other way round, in {flips['groups']} groups")
    rate = data["exchange"]["end"]["rate"]
    if rate is not None and rate < UNUSUAL and data["exchange"]["applies"]:
        found.append(f"at the end of the run {rate:.2g} tokens weigh as much as a point of accuracy")
    still = [p["path"] for p in data["parameters"] if p["dead"] and not p["default"]]
    if still:
        found.append(f"set in the recipe, and without any effect here: {', '.join(still)}")
    return found


def list_dead_parameters(rows: list[dict[str, Any]]) -> list[str]:
    """Parameters without effect in words: each that the recipe sets, then the defaults of each reward together."""
    found, defaults = [], dict[str, list[str]]()
    for r in rows:
        if r["dead"] and r["default"]:
            owner, _, name = r["path"].rpartition(".options." if ".options." in r["path"] else ".")
            defaults.setdefault(owner, []).append(name)
        elif r["dead"]:
            tried = ", ".join(map(format_short_number, r["tried"]))
            found.append(
                f"{r['path']} = {format_short_number(r['value'])} (tried {tried}){': ' + r['why'] if r['why'] else ''}"
            )
    return found + [f"{owner}, left at their defaults: {', '.join(names)}" for owner, names in defaults.items()]


def format_share_band(found: dict[str, Any]) -> str:
    """A range of shares of right replies."""
    return "all" if found["above"] > 0.9 else f"{100 * found['above']:.0f}–{100 * min(1.0, found['to']):.0f} %"


def list_reader_notes(data: dict[str, Any]) -> list[str]:
    """What the reader must know to trust the figures."""
    found = [
        f"{name}: {count} replies score otherwise than recorded" for name, count in data["record"]["differs"].items()
    ]
    record = data["record"]
    told = {"answer_type": "text", "type": "verifiable", "length": "the number of words", "step": "the first"}
    found += [
        f"{count} lines have no {name}: taken as {told[name]}" for name, count in data["record"]["guessed"].items()
    ]
    if record["float_targets"]:
        found.append(f"{record['float_targets']} targets are floats of whole numbers (5.0): compared as the number")
    found += _advantages(record)
    if record["beyond"]:
        found.append(
            f"{record['beyond']} lines are of a step after the recipe's last: its schedules count as ended there; "
            "if the run was longer, give its steps, e.g. stages.rl.steps=300"
        )
    if data["replies"] < ENOUGH:
        found.append(
            f"{data['replies']} replies are few: what holds for all of them may still fail for "
            f"{format_percent_or_dash(-math.log(0.05), data['replies'])} of others (rule of three); "
            "that a reward is saturated, never fires, or a parameter has no effect is only said of these"
        )
    if data["by_right"]["n"] == 1:
        found.append("most prompts have one reply: nothing to compare it with; lines of one prompt share a prompt_id")
    if len(data["steps"]) == 1 and data["progress"] == [0.0, 0.0]:
        found.append(
            "all lines are of the first step, so every schedule is at its start; --progress 0.5 looks at the middle"
        )
    return found


def _advantages(record: dict[str, Any]) -> list[str]:
    """Is the replay what the run did? And the weights it cannot compute."""
    found = []
    advantage, dropped, alpha = record["advantage"], record["dropped"], record["alpha"]
    if advantage and advantage["differs"]:
        found.append(
            f"{advantage['differs']} of {advantage['replies']} advantages are not the recorded ones (by up to "
            f"{format_short_number(advantage['largest'])}): another recipe, other code, or lines missing from "
            "their groups"
        )
    elif advantage:
        found.append(f"all {advantage['replies']} recorded advantages came out again")
    if dropped and dropped["differs"]:
        found.append(f"the group filter decides otherwise than recorded on {dropped['differs']} replies")
    if alpha["used"] and alpha["replies"] < record["replies"]:
        without = record["replies"] - alpha["replies"]
        found.append(f"the recipe weighs replies by what they see, but {without} lines have no alpha: taken as 1")
    if not alpha["used"] and alpha["replies"] and (alpha["low"], alpha["high"]) != (1.0, 1.0):
        found.append("the lines record perception weights, but the recipe has no `perception`: not used")
    return found


def format_percent_or_dash(part: float, whole: float) -> str:
    """``12.3 %``; of nothing, a dash."""
    return format_percent(part, whole) or "–"


def format_short_number(value: Any) -> str:
    """A number with three digits; a dash for none."""
    return "–" if value is None else format_number(value)


def format_rate_interval(rate: dict[str, Any]) -> str:
    """A rate of tokens with its 95 % interval; ``free`` when length costs nothing."""
    if rate["rate"] is None:
        return "free"
    if rate["low"] is None and rate["high"] is None:
        return format_short_number(float(rate["rate"]))
    high = "∞" if rate["high"] is None else format_short_number(float(rate["high"]))
    return f"{format_short_number(float(rate['rate']))} ({format_short_number(float(rate['low']))} to {high})"


def describe_exchange_rate(exchange: dict[str, Any]) -> list[str]:
    """The exchange rate in words."""
    if exchange["tokens"] is None:
        return ["No reply is right, so there is nothing to trade."]
    found = []
    if not exchange["applies"]:
        found.append("the recipe's advantage does not look at modulated scores; this is what they would say")
    for key, when in (
        ("recorded", "with the weights of the replies' own steps"),
        ("end", "with the last step's weights"),
    ):
        rate = exchange[key]
        if rate["rate"] is None:
            found.append(f"{when}: length is free, no reward changes when a right reply grows by a token")
            continue
        by = ", ".join(f"{name} {format_percent_or_dash(cost, rate['cost'])}" for name, cost in rate["by"].items())
        found.append(f"{when}: 1 point of accuracy = {format_rate_interval(rate)} tokens ({by})")
    found.append(f"right replies have {exchange['tokens']:.1f} tokens on average; {exchange['replies']} were looked at")
    return found
