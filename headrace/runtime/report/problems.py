"""The top problems, each in plain sentences: what was found, how it went over time, where it is, rows to look at."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.runtime.report.charts import Bounded, bounded_chart, share_bars
from headrace.runtime.report.data import ReportData
from headrace.runtime.report.markup import Markup, element, folded, joined, moment, number, percent, table
from headrace.runtime.report.samples import SampleRows
from headrace.runtime.report.summary import linked, severity_class

MOST_PROBLEMS = 6
_FILE = re.compile(r"_file=([0-9a-f]{16})")
_MOST_PLACES, _MOST_REASONS = 4, 6
_UNITS = {"percent": " %", "rows": "", "seconds": " s"}


def problems(data: ReportData) -> Markup:
    """Return a card for each of the worst open findings; the others are under Alerts."""
    found = [one for one in data.open_alerts if not one["silenced"]]
    told = {(one["rule"], one["field"]) for one in data.open_alerts}
    failing = [
        one for one in data.newest["verdicts"] if one["outcome"] == "fail" and (one["rule"], one["field"]) not in told
    ]
    cards = [_alert_card(data, one) for one in found] + [_verdict_card(data, one) for one in failing]
    more = len(cards) - MOST_PROBLEMS
    shown = cards[:MOST_PROBLEMS]
    if not shown:
        good = joined([element("span", "good", class_="tag good"), "Nothing needs attention just now."])
        shown = [element("li", good, class_="good")]
    if more > 0:
        shown.append(element("li", element("a", f"and {more} more, under Alerts", href="#alerts"), class_="info"))
    listed = element("ul", *shown, class_="strip")
    return joined([element("section", element("h2", "What needs attention"), listed, id="findings"), _past(data)])


def _past(data: ReportData) -> Markup:
    if not data.past:
        return Markup("")
    cards = [_alert_card(data, one) for one in data.past[:MOST_PROBLEMS]]
    told = "Rules that were broken in the time of this report and are kept again, each at its worst."
    left = len(data.past) - len(cards)
    told += f" Under Alerts there are more: {left}." if left > 0 else ""
    return element(
        "section",
        element("h2", "What went wrong before"),
        element("p", told, class_="soft"),
        element("ul", *cards, class_="strip"),
        id="past",
    )


def _alert_card(data: ReportData, one: Mapping[str, Any]) -> Markup:
    what, demanded = sentences(str(one["message"]), data.dataset)
    when = moment(one["window_start"], data.width) if one["window_start"] else f"{moment(one['raised_at'])} UTC"
    rows = f"{number(one['rows_at_risk'])} rows concerned" if one["rows_at_risk"] else ""
    where = ", ".join(filter(None, (when, rows)))
    sample = data.samples.get(str(one["alert_id"]))
    return _card(
        data,
        one,
        what,
        demanded,
        [where],
        [_places(data, one["segments"]), _reasons(data, one), _samples(data, sample)],
    )


def _verdict_card(data: ReportData, one: Mapping[str, Any]) -> Markup:
    label = f"in the newest window, {data.label(data.newest)}; no alert is open for it"
    return _card(data, one, f"{one['detail']}.", str(one["demand"]), [label], [])


def _card(
    data: ReportData, one: Mapping[str, Any], what: str, demanded: str, facts: Sequence[str], parts: Sequence[object]
) -> Markup:
    known = data.carded
    severity = severity_class(str(one["severity"]))
    about = joined([linked(one["field"], known), ", "]) if one["field"] else ""
    return element(
        "li",
        element("h3", element("span", one["severity"], class_=f"tag {severity}"), what),
        element("p", about, ", ".join(facts), f" (rule {one['rule']})", class_="soft"),
        element("p", "Demanded: ", demanded, ".") if demanded else "",
        _history(data, one),
        *parts,
        _advice(data, one),
        class_=severity,
    )


def sentences(message: str, dataset: str) -> tuple[str, str]:
    """Return what was found, and what was demanded, of an alert's message.

    >>> sentences("flights: 7 of 9 have no mass; demanded: none may be missing", "flights")
    ('7 of 9 have no mass.', 'none may be missing')
    """
    what, _, demanded = message.removeprefix(f"{dataset}: ").partition("; demanded: ")
    return f"{what[:1].upper()}{what[1:].rstrip('.')}.", demanded.rstrip(".")


def _history(data: ReportData, one: Mapping[str, Any]) -> Markup:
    found = data.history.get(str(one["rule"]), ())
    if one.get("clock", data.clock) not in {data.clock, ""} or sum(seen.observed is not None for seen in found) < 2:
        return Markup("")
    unit = _UNITS.get(str(one["unit"]), "")
    points = [
        Bounded(moment(seen.start, data.width), seen.observed, seen.lower, seen.upper, seen.outcome == "fail")
        for seen in found
    ]
    broken = [point for point in points if point.broken]
    last = next(point for point in reversed(points) if point.value is not None)
    told = (
        f"{one['rule']} in {len(points)} windows from {points[0].label} to {points[-1].label}: "
        f"broken in {len(broken)}, last {number(last.value)}{unit}"
    )
    rows = [(point.label, f"{number(point.value)}{unit}", _allowed(point, unit)) for point in broken[::-1][:20]]
    numbers = folded(
        f"The numbers, windows beyond the bound: {len(broken)}", table(("window", "seen", "allowed"), rows)
    )
    caption = element("figcaption", f"{told}. Dashed: what is allowed; marks: windows beyond it.", class_="soft")
    return element("figure", bounded_chart(points, told, unit), caption, numbers if rows else "")


def _allowed(point: Bounded, unit: str) -> str:
    low = "" if point.low is None else f"at least {number(point.low)}{unit}"
    high = "" if point.high is None else f"at most {number(point.high)}{unit}"
    return ", ".join(filter(None, (low, high))) or "-"


def _places(data: ReportData, segments: Sequence[Mapping[str, Any]]) -> Markup:
    if not segments:
        return Markup("")
    files = data.file_names
    bars = [
        (
            place_name(one["name"], files),
            one["share"],
            f"{percent(one['share'])} of the cases, {one['lift']:.1f} times its share of all rows",
        )
        for one in segments[:_MOST_PLACES]
    ]
    return element("figure", element("figcaption", "Where it is concentrated"), share_bars(bars))


def _reasons(data: ReportData, one: Mapping[str, Any]) -> Markup:
    """Return why rows of a file were set aside, once a file; a row may have several reasons."""
    first = next((other for other in data.open_alerts if other["file"] == one["file"] and other["reasons"]), one)
    if first["alert_id"] != one["alert_id"]:
        return Markup("")
    counts = sorted(one["reasons"].items(), key=lambda pair: (-int(pair[1]), pair[0]))[:_MOST_REASONS]
    if not counts:
        return Markup("")
    most = max(int(count) for _, count in counts)
    bars = [(name.replace("_", " "), int(count) / most, f"{number(count)} rows") for name, count in counts]
    return element("figure", element("figcaption", "Why rows were set aside"), share_bars(bars))


def place_name(name: str, files: Mapping[str, str]) -> str:
    """Return a segment for a person: a file by its name.

    >>> place_name("_file=f00, carrier=EV", {"f00": "may.csv"})
    'file may.csv, carrier EV'
    """
    parts = [part.strip().partition("=") for part in name.split(",")]
    return ", ".join(
        f"file {files.get(value, value)}" if column == "_file" else f"{column.replace('_', ' ')} {value}".strip()
        for column, _, value in parts
    )


def with_files(text: str, files: Mapping[str, str]) -> str:
    """Return a sentence with files by their names.

    >>> with_files("mandatory at _file=0123456789abcdef.", {"0123456789abcdef": "may.csv"})
    'mandatory at file may.csv.'
    """
    return _FILE.sub(lambda found: f"file {files.get(found[1], found[1])}", text)


def _samples(data: ReportData, found: SampleRows | None) -> Markup:
    if found is None:
        return Markup("")
    if found.problem:
        return element("p", found.problem, class_="soft")
    files = data.file_names
    rows = [(f"{files.get(file, file)}, row {row}", *values) for (file, row), values in found.rows]
    headings = ("place", *(f"{name} *" if name in found.marked else name for name in found.columns))
    notes = ["* is what the finding is about."]
    if found.masked:
        notes.append("What is personal is hidden, or a token (#) that only equal values share.")
    caption = f"{len(rows)} of the rows"
    return folded("Rows to look at", table(headings, rows, caption), element("p", " ".join(notes), class_="soft"))


def _advice(data: ReportData, one: Mapping[str, Any]) -> Markup:
    wanted = one.get("advice_id")
    given = next((advice for advice in data.advice if wanted and advice["advice_id"] == wanted), None)
    if given is None:
        return Markup("")
    return element(
        "p",
        element("b", "What to do: "),
        with_files(given["action"], data.file_names),
        " ",
        element("a", "Why", href="#advice"),
        ".",
    )
