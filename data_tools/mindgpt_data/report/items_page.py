"""Sections about items: gates, look-alikes, difficulty and answers, twins, and a sample to read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from mindgpt_data.report import charts
from mindgpt_data.report.text import count, cut, missing, percent, table
from mindgpt_data.report.thumbs import Thumbs


def gates(data: dict[str, Any], thumbs: Thumbs) -> str:
    """The gate funnel, what other steps left out, and examples."""
    found = data["gates"]
    body = "<h2>Gates and drops</h2>"
    if data["items"] is None:
        body += missing("filter", "judges what was generated")
    elif found["funnel"]:
        first = found["funnel"][0]["before"]
        rows = []
        for gate in found["funnel"]:
            reasons = " · ".join(f"{cut(r, 90)} ({count(n)})" for r, n in list(gate["reasons"].items())[:4])
            kept = f"<span class=bar style='width:{100 * gate['after'] / max(first, 1):.1f}%'></span>"
            rows.append(
                [
                    escape(gate["gate"]),
                    count(gate["dropped"]),
                    percent(gate["dropped"], gate["before"]),
                    count(gate["after"]),
                    f"<span class=meter>{kept}</span>",
                    f"<small>{reasons}</small>",
                ]
            )
        body += (
            f"<p>{count(first)} items came in; each gate sees what the one before let through.</p><div class=funnel>"
            + table(["gate", "dropped", "of what it saw", "left", "", "why"], rows, numeric=range(1, 4))
            + "</div>"
        )
    else:
        body += "<p>Nothing was dropped by the gates.</p>"
    if found["notes"]:
        body += "<ul class=notes>" + "".join(f"<li>{cut(note)}</li>" for note in found["notes"]) + "</ul>"
    others = [
        [escape(step), escape(gate), cut(reason, 200), count(n)]
        for step, by_gate in found["steps"].items()
        for gate, reasons in by_gate.items()
        for reason, n in reasons.items()
    ]
    if others:
        body += "<h3>Left out by other steps</h3>" + table(
            ["step", "by", "why", "how many"], others, numeric=range(3, 4)
        )
    if found["examples"]:
        cards = "".join(_dropped(example, thumbs) for example in found["examples"])
        body += f'<h3>Examples of what was dropped</h3><div class="examples">{cards}</div>'
    return body


def _dropped(example: dict[str, Any], thumbs: Thumbs) -> str:
    items = []
    for item in example["items"]:
        picture = thumbs.show(item["image"]) if item["image"] else ""
        question, detail = item["question"] or "", item["detail"]
        lines = [f"<p>{cut(question)} <b>{cut(item['answer'], 120)}</b></p>"] if question not in detail else []
        lines += [f"<p>{cut(detail)}</p>"] if detail else []
        items.append(
            f"<div class=question>{picture}<div>{''.join(lines)}<small>{cut(item['key'], 120)}</small></div></div>"
        )
    head = f"<b>{escape(example['gate'])}</b> · {cut(example['reason'], 160)}"
    return (
        f"<div class=example><p>{head}<br><small>{escape(example['step'])}: {count(example['count'])}</small></p>"
        f"{''.join(items)}</div>"
    )


def duplicates(data: dict[str, Any], thumbs: Thumbs) -> str:
    """Pictures that look alike."""
    found = data["near_duplicates"]
    body = "<h2>Pictures that look alike</h2>"
    if found is None:
        return body + missing("images", "reads the corpus")
    part = (
        ""
        if found["hashed"] >= found["distinct"]
        else f" (of a random {count(found['hashed'])} of {count(found['images'])})"
    )
    advice = " Items about copies are paid for twice." if found["pairs"] else ""
    body += (
        f"<p>{count(found['identical'])} pair(s) with equal pixels; {count(found['near'])} more pair(s) whose 64-bit "
        f"perceptual hash differs in at most {found['bits']} bits{part}.{advice}</p>"
    )
    cards = "".join(
        "<figure class=pair>"
        + "".join(thumbs.show(image) for image in pair["images"])
        + f"<figcaption>{_apart(pair['bits'])}</figcaption></figure>"
        for pair in found["pairs"]
    )
    return body + (f"<div class=pairs>{cards}</div>" if cards else "")


def _apart(bits: int | None) -> str:
    return "equal pixels" if bits is None else f"{bits} of 64 bits apart"


def distributions(data: dict[str, Any]) -> str:
    """Difficulty and answers of the kept items."""
    found = data["items"]
    body = "<h2>Difficulty and answers</h2>"
    if found is None:
        return body + missing("filter", "decides which items are kept")
    made = [
        charts.histogram(
            "Difficulty", {"items": found["difficulty"]}, 0, 1, x="difficulty, 0 easy to 1 hard", y="items"
        ),
        *(
            _share(title, found[key])
            for title, key in (("Answer type", "answer_type"), ("Item type", "type"), ("Source", "source"))
        ),
    ]
    rows = [
        [
            cut(c["capability"], 80),
            count(c["items"]),
            count(c["different"]),
            percent(c["guess"]),
            "<small>" + " · ".join(f"{cut(a, 40)} {percent(n, c['items'])}" for a, n in c["answers"]) + "</small>",
        ]
        for c in found["capabilities"][:40]
    ]
    head = ["capability", "items", "different answers", "guessing gets", "most common answers"]
    return (
        body + f"<div class=charts>{''.join(made)}</div><h3>What guessing gets</h3><p>A model that always gives its "
        f"capability's most common answer is right on {percent(found['guessing'])} of {count(found['guessing_items'])} "
        "verifiable items. A capability where guessing gets far teaches little.</p>"
        + table(head, rows, numeric=range(1, 4))
    )


def _share(title: str, counts: dict[str, int]) -> str:
    whole = sum(counts.values())
    rows = "".join(
        f"<tr><th>{cut(name, 60)}</th><td><span class=bar style='width:{100 * n / max(whole, 1):.1f}%'></span></td>"
        f"<td class=num>{count(n)}</td><td class=num>{percent(n, whole)}</td></tr>"
        for name, n in list(counts.items())[:10]
    )
    return f"<figure class=chart><figcaption>{title}</figcaption><table class=bars>{rows}</table></figure>"


def twins(data: dict[str, Any], thumbs: Thumbs) -> str:
    """Adversarial items beside their answerable partners."""
    found = data["twins"]
    if found is None or not found["items"]:
        return ""
    cards = "".join(
        "<div class=example>" + "".join(_said(pair[k], thumbs, k) for k in ("answerable", "adversarial")) + "</div>"
        for pair in found["pairs"]
    )
    alone = f" {count(found['alone'])} of them lost their answerable partner." if found["alone"] else ""
    return (
        f"<h2>Adversarial twins</h2><p>{count(found['items'])} items that cannot be answered, each beside the one that "
        f'can.{alone}</p><div class="examples wide">{cards}</div>'
    )


def _said(item: dict[str, Any], thumbs: Thumbs, label: str) -> str:
    pictures = "".join(thumbs.show(image) for image in item["image"][:2])
    return (
        f"<div class=question>{pictures}<div><small>{label}</small><p>{cut(item['question'])}</p>"
        f"<p><b>{cut(item['answer'], 160)}</b></p></div></div>"
    )


def samples(data: dict[str, Any], thumbs: Thumbs) -> str:
    """Kept items at random, filtered by script."""
    found = data["samples"]
    if not found:
        return ""
    filters = "".join(
        _choice(key, [item[key] or "none" for item in found]) for key in ("source", "type", "capability", "knowledge")
    )
    cards = "".join(_card(item, thumbs) for item in found)
    return (
        f"<h2>Kept items to read</h2><p>{count(len(found))} of {count(sum(data['items']['difficulty']))} kept "
        "items, drawn at random.</p>"
        f"<form id=filters>{filters}<label>contains <input name=text type=search></label><output></output></form>"
        f'<div class="examples" id=samples>{cards}</div>'
    )


def _choice(key: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(v)}">{cut(v, 60)}</option>' for v in sorted(set(values)))
    return f'<label>{key} <select name="{key}"><option value="">all</option>{options}</select></label>'


def _card(item: dict[str, Any], thumbs: Thumbs) -> str:
    keys = ("source", "type", "capability", "knowledge")
    marks = " ".join(f'data-{key}="{escape(item[key] or "none")}"' for key in keys)
    pictures = "".join(thumbs.show(image) for image in item["image"][:2])
    extra = len(item["image"]) - 2
    more = f"<small>+ {extra} more pictures</small>" if extra > 0 else ""
    labels = " · ".join(cut(v, 60) for v in (item["capability"], item["knowledge"]) if v)
    reply = cut(item["response"]) if item["response"] else ""
    return (
        f'<div class="example" {marks}><div class=question>{pictures}{more}<div><p>{cut(item["question"])}</p>'
        f"<p><b>{cut(item['answer'], 160)}</b></p></div></div>"
        f"<small>{labels} · IDS {item['ids']:.2f} · difficulty {item['difficulty']:.2f}</small>"
        + (f"<details><summary>Reply</summary><p>{reply}</p></details>" if reply else "")
        + "</div>"
    )
