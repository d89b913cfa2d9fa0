"""The top of the page: all in three sentences, the score and what it does not cover, and what changed."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from headrace.runtime.report.charts import spark_line
from headrace.runtime.report.data import ReportData, share_by_field
from headrace.runtime.report.markup import Markup, element, joined, number, percent
from headrace.stream_processors.steps.score import trend

_MOST_CHANGES, _NAMED = 5, 8
_NO_CHART = Markup("")
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


def severity_class(severity: str) -> str:
    """Return the class of what has a severity."""
    return severity if severity in {"critical", "warning", "info"} else "info"


def lead(data: ReportData) -> str:
    """Return the report in a few sentences: how good, what is open, what nobody looked at."""
    value, newest = data.newest["score"], data.label(data.newest)
    score = f"{value:.1f} of 100 points" if value is not None else "no score, since no rule had a verdict"
    open_now = [one for one in data.open_alerts if not one["silenced"]]
    critical = sum(one["severity"] == "critical" for one in open_now)
    finding = "1 finding needs" if len(open_now) == 1 else f"{len(open_now)} findings need"
    told = f"{finding} attention" if open_now else "Nothing needs attention just now"
    told += f", {critical} of them critical" if critical and len(open_now) > 1 else ""
    checked, others = data.coverage
    looked = "Rules look at every field."
    if others:
        looked = (
            f"No rule looks at {len(others)} of {len(checked) + len(others)} fields: what is wrong there is not seen."
        )
    return f"The newest window, {newest}, has {score}: {moved(data)}. {told}. {looked}"


def moved(data: ReportData) -> str:
    """Return how the newest score differs from those before."""
    newest = data.newest["start"]
    scores = [one["score"] for one in data.windows if one["score"] is not None and one["start"] <= newest]
    by = trend(scores) if scores else None
    if by is None or data.newest["score"] is None:
        return "no earlier windows to compare with"
    if abs(by) < 0.05:
        return "as usual (the median of the windows before)"
    return f"{abs(by):.1f} points {'better' if by > 0 else 'worse'} than usual (the median of the windows before)"


def grade(value: float | None) -> str:
    """Return the class of a score's colour; the figure always stands beside it."""
    if value is None:
        return ""
    return "good-text" if value >= _GOOD else "warn-text" if value >= _FAIR else "bad-text"


def spark(data: ReportData) -> Markup:
    """Return the score over time, small."""
    points = [(data.label(one), one["score"]) for one in data.windows]
    known = [value for _, value in points if value is not None]
    if len(known) < 2:
        return Markup("")
    title = f"Score over {len(points)} windows: least {number(min(known))}, last {number(known[-1])}"
    return spark_line(points, title, min([*known, 90.0]), _FULL)


def score_cards(data: ReportData) -> Markup:
    """Return score with trend, the worst critical field, coverage and volume; the score never stands alone."""
    newest = data.newest
    cards = [_score(data), _worst(data), _coverage(data), _volume(data)]
    when = f"Newest closed window with records: {data.label(newest)} ({data.clock} time)."
    if empty := sum(one["start"] > newest["start"] for one in data.windows):
        when += f" {empty} later {'window' if empty == 1 else 'windows'} closed without any record."
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
    shown = element("span", "no score" if value is None else f"{value:.1f}", class_=grade(value))
    return _card("Score", shown, " of 100", moved(data), spark(data))


def _worst(data: ReportData) -> Markup:
    name, value = data.newest["worst_field"], data.newest["worst_score"]
    title = "Worst critical field" if data.critical else "Worst field"
    if not name or value is None:
        return _card(title, "none", "", "no checked rule looks at a single field")
    if value >= _FULL:
        return _card(
            title, "none", "", f"each {'critical field' if data.critical else 'field'} that is checked is as demanded"
        )
    known = data.carded
    return _card(title, linked(name, known), "", f"its own score is {value:.1f} of 100")


def _coverage(data: ReportData) -> Markup:
    checked, others = data.coverage
    total = len(checked) + len(others)
    named = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    told = f"Not checked: {named}" if others else "Every field is checked"
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


def _card(title: str, big: object, unit: str, told: str, drawn: Markup = _NO_CHART) -> Markup:
    return element(
        "div",
        element("h3", title),
        element("div", big, element("small", unit), class_="big"),
        drawn,
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
    found = changed(data)
    if len(data.windows) < 2:
        body = element("p", "There is one window only; from the second on this says what changed.", class_="soft")
    elif not found:
        body = element("p", "Nothing moved much: volume and missing values are as in the windows before.")
    else:
        body = element("ul", *(element("li", text) for text in found), class_="plain")
    return element("section", element("h2", "What changed"), body, id="changes")


def changed(data: ReportData) -> list[Markup]:
    """Return the sentences of what changed most, the greatest change first."""
    return [text for _, text in sorted(_changes(data), key=lambda one: -one[0])[:_MOST_CHANGES]]


def _changes(data: ReportData) -> Iterator[tuple[float, Markup]]:
    if len(data.windows) < 2:
        return
    *before, last = data.windows
    usual = median(one["rows"] for one in before)
    if usual and abs(last["rows"] - usual) / usual > 0.1:
        by = abs(last["rows"] - usual) / usual
        word = "more" if last["rows"] > usual else "fewer"
        told = f"{percent(by)} {word} rows than usual: {number(last['rows'])}, usually {number(usual)}."
        yield by, element("span", told)
    known = data.carded
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
            yield (
                abs(share - was),
                joined([linked(name, known), f": {percent(share)} missing, usually {percent(was)}."]),
            )
