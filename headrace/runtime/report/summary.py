"""The top of the page: what needs attention, the score and what it does not cover, and what changed."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from headrace.runtime.report.data import ReportData, share_by_field
from headrace.runtime.report.markup import Markup, element, joined, number, percent
from headrace.stream_processors.steps.score import trend

_MOST_FINDINGS, _MOST_CHANGES, _NAMED = 6, 5, 8
_FULL, _GOOD, _FAIR = 100.0, 95.0, 80.0


def field_anchor(name: str) -> str:
    """Return the id of a field's card."""
    return f"field-{name}"


def linked(names: str, known: set[str]) -> Markup:
    """Return the names of fields, each a link to its card if it has one."""
    parts: list[object] = []
    for name in filter(None, (one.strip() for one in names.split(","))):
        parts += [", "] if parts else []
        parts.append(element("a", name, href=f"#{field_anchor(name)}") if name in known else name)
    return joined(parts)


def findings(data: ReportData) -> Markup:
    """Return the strip of what needs attention; each entry links to its field."""
    known = {one["name"] for one in data.fields}
    entries = [
        _finding(one["severity"], one["message"], one["field"], known)
        for one in data.open_alerts
        if not one["silenced"]
    ]
    told = {(one["rule"], one["field"]) for one in data.open_alerts}
    entries += [
        _finding(one["severity"], f"{one['detail']}; demanded: {one['demand']}", one["field"], known)
        for one in data.newest["verdicts"]
        if one["outcome"] == "fail" and (one["rule"], one["field"]) not in told
    ]
    if not entries:
        entries = [
            element(
                "li", element("span", "good", class_="tag good"), "Nothing needs attention just now.", class_="good"
            )
        ]
    more = len(entries) - _MOST_FINDINGS
    shown = entries[:_MOST_FINDINGS]
    if more > 0:
        shown.append(element("li", element("a", f"and {more} more, under Alerts", href="#alerts"), class_="info"))
    return element(
        "section", element("h2", "What needs attention"), element("ul", *shown, class_="strip"), id="findings"
    )


def _finding(severity: str, text: str, field: str, known: set[str]) -> Markup:
    where = joined([" Field: ", linked(field, known), "."]) if field else ""
    return element(
        "li", element("span", severity, class_=f"tag {_class(severity)}"), text, ".", where, class_=_class(severity)
    )


def _class(severity: str) -> str:
    return severity if severity in {"critical", "warning", "info"} else "info"


def score_cards(data: ReportData) -> Markup:
    """Return score with trend, the worst critical field, coverage and volume; the score never stands alone."""
    newest = data.newest
    cards = [_score(data), _worst(data), _coverage(data), _volume(data)]
    when = f"Newest closed window: {data.label(newest)} ({data.clock} time)."
    return element(
        "section",
        element("h2", "How good the data is"),
        element("p", when, class_="soft"),
        element("div", *cards, class_="cards"),
        _dimensions(newest),
        id="score",
    )


def _score(data: ReportData) -> Markup:
    value = data.newest["score"]
    scores = [one["score"] for one in data.windows if one["score"] is not None]
    moved = trend(scores) if scores else None
    if moved is None or value is None:
        told = "no earlier windows to compare with"
    elif abs(moved) < 0.05:
        told = "as usual (the median of the windows before)"
    else:
        told = f"{abs(moved):.1f} points {'better' if moved > 0 else 'worse'} than the median of the windows before"
    shown = "no score" if value is None else f"{value:.1f}"
    grade = "" if value is None else "good-text" if value >= _GOOD else "warn-text" if value >= _FAIR else "bad-text"
    return _card("Score", element("span", shown, class_=grade), " of 100", told)


def _worst(data: ReportData) -> Markup:
    name, value = data.newest["worst_field"], data.newest["worst_score"]
    title = "Worst critical field" if data.critical else "Worst field"
    if not name or value is None:
        return _card(title, "none", "", "no checked rule looks at a single field")
    if value >= _FULL:
        return _card(
            title, "none", "", f"each {'critical field' if data.critical else 'field'} that is checked is as demanded"
        )
    known = {one["name"] for one in data.fields}
    return _card(title, linked(name, known), "", f"its own score is {value:.1f} of 100")


def _coverage(data: ReportData) -> Markup:
    checked, others = data.coverage
    total = len(checked) + len(others)
    named = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    told = f"{len(checked)} of {total} fields checked" + (f"; not checked: {named}" if others else "")
    rules = len(data.newest["verdicts"])
    return _card(
        "Coverage",
        f"{len(checked)} of {total}",
        " fields",
        f"{told}. {data.newest['checked']} of {rules} rules had a verdict.",
    )


def _volume(data: ReportData) -> Markup:
    rows, rejected = data.newest["rows"], data.newest["rejected"]
    share = percent(rejected / rows) if rows else "0 %"
    return _card("Rows", number(rows), "", f"{number(rejected)} ({share}) were set aside because they break a rule")


def _card(title: str, big: object, unit: str, told: str) -> Markup:
    return element(
        "div",
        element("h3", title),
        element("div", big, element("small", unit), class_="big"),
        element("p", told, class_="soft"),
        class_="card",
    )


def _dimensions(newest: Mapping[str, Any]) -> Markup:
    if not newest["dimensions"]:
        return Markup("")
    parts = [f"{name} {value:.1f}" for name, value in sorted(newest["dimensions"].items(), key=lambda one: one[1])]
    return element("p", "Score by side of quality: ", ", ".join(parts), ".")


def changes(data: ReportData) -> Markup:
    """Return what differs most between the newest window and the median of those before."""
    found = sorted(_changes(data), key=lambda one: -one[0])[:_MOST_CHANGES]
    if len(data.windows) < 2:
        body = element("p", "There is one window only; from the second on this says what changed.", class_="soft")
    elif not found:
        body = element("p", "Nothing moved much: volume and missing values are as in the windows before.")
    else:
        body = element("ul", *(element("li", text) for _, text in found), class_="plain")
    return element("section", element("h2", "What changed"), body, id="changes")


def _changes(data: ReportData) -> Iterator[tuple[float, Markup]]:
    if len(data.windows) < 2:
        return
    *before, last = data.windows
    usual = median(one["rows"] for one in before)
    if usual and abs(last["rows"] - usual) / usual > 0.1:
        moved = abs(last["rows"] - usual) / usual
        word = "more" if last["rows"] > usual else "fewer"
        told = f"{percent(moved)} {word} rows than usual: {number(last['rows'])}, usually {number(usual)}."
        yield moved, element("span", told)
    now = share_by_field(last)
    earlier: dict[str, list[float]] = {}
    for window in before:
        for name, (nulls, rows) in share_by_field(window).items():
            if rows:
                earlier.setdefault(name, []).append(nulls / rows)
    for name, (nulls, rows) in now.items():
        if not rows or name not in earlier:
            continue
        was, share = median(earlier[name]), nulls / rows
        if abs(share - was) > 0.01:
            link = element("a", name, href=f"#{field_anchor(name)}")
            yield abs(share - was), joined([link, f": {percent(share)} missing, usually {percent(was)}."])
