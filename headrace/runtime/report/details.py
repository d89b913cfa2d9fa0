"""Below the charts: alerts, what to do, every field, the files, what was not checked, and how to read it all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.runtime.report.charts import histogram
from headrace.runtime.report.data import MOST_FIELDS, ReportData
from headrace.runtime.report.markup import (
    Markup,
    element,
    folded,
    gain,
    joined,
    moment,
    number,
    of_field,
    percent,
    table,
)
from headrace.runtime.report.problems import place_name, with_files
from headrace.runtime.report.summary import field_anchor, linked
from headrace.stream_processors.sketches.top import Top

_MOST_CARDS, _TIME_DIGITS, _MOST_PLACES = 6, 19, 4
_NO_ADVICE = element("p", "No advice: no finding calls for any.", class_="soft")
_MOST_TOP, _MOST_ALERTS, _MOST_UNCHECKED = 8, 60, 60
SEEN = (("event", "event time"), ("arrival", "arrival"))
"""When a field was first and last there: by which time, and the words for it."""
_UNITS = {"percent": " %", "rows": " rows", "seconds": " s"}


def alerts(data: ReportData) -> Markup:
    """Return the last word on each alert, open ones first."""
    known = data.carded
    closed = [one for one in data.alerts if one["state"] == "resolved"]
    rows = [_alert_row(data, one, known) for one in [*data.open_alerts, *closed][:_MOST_ALERTS]]
    told = f"{len(data.open_alerts)} not resolved, {len(closed)} resolved."
    headings = ("rule", "state", "since", "field", "what was found", "seen", "allowed", "where", "rows at risk")
    body = table(headings, rows, "The last word on each alert", wide=True) if rows else Markup("")
    return element("section", element("h2", "Alerts"), element("p", told, class_="soft"), body, id="alerts")


def _alert_row(data: ReportData, one: Mapping[str, Any], known: set[str]) -> list[object]:
    unit = _UNITS.get(one["unit"], "")
    bar = f" ± {number(one['error'])}" if one["error"] else ""
    since = moment(one["window_start"], data.width) if one["window_start"] else moment(one["raised_at"])
    files = data.file_names
    where = ", ".join(
        f"{place_name(segment['name'], files)} ({percent(segment['share'])})" for segment in one["segments"][:3]
    )
    state = one["state"] + (", silenced" if one["silenced"] else "")
    tag = element(
        "span",
        one["severity"],
        class_=f"tag {one['severity'] if one['severity'] in {'critical', 'warning'} else 'info'}",
    )
    if one["state"] == "resolved":
        tag = Markup("")
    # The share of a file's rows is a share, not percent.
    said = percent if one["rule"] == "rejected_share" else lambda value: f"{number(value)}{unit}"
    seen = "-" if one["observed"] is None else f"{said(one['observed'])}{bar}"
    bound = "-" if one["bound"] is None else said(one["bound"])
    return [
        one["rule"],
        joined([tag, state]),
        since,
        linked(one["field"], known),
        str(one["message"]).removeprefix(f"{data.dataset}: "),
        seen,
        bound,
        where or one["file_name"],
        number(one["rows_at_risk"]),
    ]


def advice(data: ReportData) -> Markup:
    """Return what to do, what wins most first: some as cards, the others as a table; the same action once."""
    known = data.carded
    grouped = [
        {**one, **{name: with_files(one[name], data.file_names) for name in ("action", "segment")}}
        for one in together(data.advice)
    ]
    cards = [_advice_card(one, known) for one in grouped[:_MOST_CARDS]]
    rows = [
        (one["action"], linked(one["field"], known), one["segment"], number(one["rows_at_risk"]), one["state"])
        for one in grouped[_MOST_CARDS:]
    ]
    parts: list[object] = [element("div", *cards, class_="fields")] if cards else [_NO_ADVICE]
    if rows:
        headings = ("what to do", "field", "where", "rows at risk", "state")
        parts.append(folded(f"{len(rows)} more", table(headings, rows)))
    return element("section", element("h2", "What to do"), *parts, id="advice")


def together(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return advice with the same action, field and state as one, which names its places; in the order given.

    What it wins is that of the greatest: the places may overlap.

    >>> one = {"action": "a", "field": "f", "state": "proposed", "segment": "x=1", "rows_at_risk": 2, "cause": "c"}
    >>> together([one, one | {"segment": "x=2", "rows_at_risk": 3}])[0]["segment"]
    'x=1; x=2'
    """
    groups: dict[tuple[object, ...], list[Mapping[str, Any]]] = {}
    for one in found:
        groups.setdefault((one["action"], one["field"], one["state"], one["cause"]), []).append(one)
    merged = []
    for group in groups.values():
        places = list(
            dict.fromkeys(part.strip() for one in group for part in one["segment"].split(";") if part.strip())
        )
        more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
        rows = max(one["rows_at_risk"] for one in group)
        merged.append({**group[0], "segment": "; ".join(places[:_MOST_PLACES]) + more, "rows_at_risk": rows})
    return merged


def _advice_card(one: Mapping[str, Any], known: set[str]) -> Markup:
    where = joined([linked(one["field"], known), f" ({one['segment']})" if one["segment"] else ""])
    facts = [
        ("where", where),
        ("likely cause", one["cause"]),
        ("who", one["owner"] or "-"),
        ("rows at risk", number(one["rows_at_risk"])),
        ("would win", gain(one["expected_gain"])),
        ("confidence", f"{one['confidence']:.0%}"),
        ("state", one["state"]),
        ("measured", one["measured"]),
    ]
    pairs = joined(joined([element("dt", name), element("dd", value)]) for name, value in facts if value)
    query = [element("li", "asked as: ", element("code", one["query"]))] if one["query"] else []
    evidence = element("ul", *(element("li", text) for text in one["evidence"][:8]), *query, class_="plain")
    return element(
        "article",
        element("h3", one["action"]),
        pairs and element("dl", pairs),
        folded("The evidence", evidence),
        class_="card",
    )


def fields(data: ReportData) -> Markup:
    """Return a card for each field: how complete, what values, how they are spread."""
    shown = data.fields[:MOST_FIELDS]
    checked, _ = data.coverage
    cards = [
        _field_card(
            one, data.kinds.get(one["name"], ""), checked=one["name"] in checked, critical=one["name"] in data.critical
        )
        for one in shown
    ]
    told = f"Over the {len(data.windows)} windows of this report. Figures with ± are estimates with their error."
    if len(shown) < len(data.fields):
        told += f" {len(shown)} of {len(data.fields)} fields are shown."
    return element(
        "section",
        element("h2", "Field by field"),
        element("p", told, class_="soft"),
        element("div", *cards, class_="fields"),
        id="fields",
    )


def _field_card(one: Mapping[str, Any], kind: str, *, checked: bool, critical: bool) -> Markup:
    notes = [word for word, told in (("critical", critical), ("not checked by any rule", not checked)) if told]
    title = element("span", f" {', '.join(notes)}", class_="soft") if notes else ""
    facts = joined(joined([element("dt", name), element("dd", value)]) for name, value in _facts(one, kind))
    parts: list[object] = [element("h3", one["name"], title), element("dl", facts)]
    if one.get("masked"):
        parts.append(element("p", "Personal or confidential: its values are not shown.", class_="soft"))
    bins = one["histogram"]
    if len(bins) > 1:
        span = f"{of_field(bins[0]['low'], kind)} to {of_field(bins[-1]['high'], kind)}"
        parts.append(histogram(bins, f"Histogram of {one['name']}: {span}", kind))
        counts = (
            (f"{of_field(bar['low'], kind)} to {of_field(bar['high'], kind)}", number(bar["count"])) for bar in bins
        )
        parts.append(folded("The numbers", table(("values", "rows"), counts)))
    least = "" if Top.exact(one["distinct"]) else " (at least)"
    parts += _frequent(f"Most frequent{least}", one["top"], kind)
    parts += _frequent("Shapes of texts (A a 9 for letters and digits)", one["shapes"])
    return element("article", *parts, class_="card", id=field_anchor(one["name"]))


def _facts(one: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    rows, nulls = int(one["rows"]), int(one["nulls"])
    yield "rows", number(rows)
    yield "missing", f"{percent(nulls / rows) if rows else '-'} ({number(nulls)})"
    if one["distinct"] is not None:
        yield "different values", distinct(one)
    if one["mean"] is not None:
        yield "mean", f"{number(one['mean'])} (spread {number(one['std'])})"
    if one["quantiles"]:
        low, high = (of_field(one["quantiles"].get(share), kind) for share in ("0.25", "0.75"))
        yield "half lie between", f"{low} and {high}"
    if one["minimum"] is not None:
        yield "least, greatest", f"{of_field(one['minimum'], kind)}, {of_field(one['maximum'], kind)}"
    for clock, told in SEEN:
        if one.get(f"first_{clock}") is not None:
            yield f"seen ({told})", f"{moment(one[f'first_{clock}'])} to {moment(one[f'last_{clock}'])}"
    if one["length_minimum"] is not None:
        yield "characters", f"{one['length_minimum']} to {one['length_maximum']}"


def distinct(one: Mapping[str, Any]) -> str:
    """Return how many different values a field has, with its error."""
    error = one["distinct_error"]
    return number(round(one["distinct"])) + (f" ± {number(round(error))}" if error else "")


def _frequent(title: str, found: Any, kind: str = "") -> list[object]:
    if not found:
        return []
    rows = (
        (
            one["value"][:_TIME_DIGITS] if kind == "timestamp-micros" else one["value"] or "(empty text)",
            number(one["count"]),
        )
        for one in found[:_MOST_TOP]
    )
    return [folded(title, table(("value", "rows"), rows))]


def files(data: ReportData) -> Markup:
    """Return the receipts: what became of each file."""
    rows = [
        (
            one["name"],
            _fate(one),
            number(one["rows_read"]),
            number(one["rows_stored"]),
            number(one["rows_quarantined"]),
            moment(one["updated_at"]),
        )
        for one in data.files
    ]
    headings = ("file", "what became of it", "rows read", "stored", "set aside", "when")
    body = (
        table(headings, rows, f"The newest {len(rows)} files")
        if rows
        else element("p", "No file came yet.", class_="soft")
    )
    return element("section", element("h2", "Files"), body, id="files")


def _fate(one: Mapping[str, Any]) -> str:
    if one["balanced"]:
        return "every row accounted for" if one["state"] == "balanced" else f"{one['state']}; every row accounted for"
    return f"{one['state']}: {one['detail'] or one['reason']}" if one["reason"] else str(one["state"])


def unchecked(data: ReportData) -> Markup:
    """Return what had no verdict, and why."""
    found = data.newest["not_checked"]
    items = [element("li", text) for text in found[:_MOST_UNCHECKED]]
    if len(found) > len(items):
        items.append(element("li", f"and {len(found) - len(items)} more"))
    if data.outside:
        items.append(element("li", _outside(data)))
    body = (
        element("ul", *items, class_="plain")
        if items
        else element("p", "Every rule had a verdict, and every field has a rule.")
    )
    return element("section", element("h2", "What was not checked"), body, id="unchecked")


def _outside(data: ReportData) -> str:
    """Return how many stored rows no window counts, and what to do about it."""
    worst = max(data.outside, key=lambda start: (data.outside[start], start))
    where = f"of {data.label({'start': worst})}"
    if len(data.outside) > 1:
        where = f"of {len(data.outside)} windows, {data.outside[worst]:,} of them {where}"
    return (
        f"{sum(data.outside.values()):,} stored rows {where} are in no verdict here: they came when their window had "
        "long been closed (or in these seconds). "
        f"headrace check {data.dataset} looks at them too; if that is usual, raise allowedLateness."
    )


HOW_TO_READ = (
    (
        "Window",
        "The data is judged in stretches of time, e.g. a day: by event time, when things happened, or by arrival.",
    ),
    (
        "Score",
        "100 less what is lost: of each rule that fails, the share of the rows concerned times how far it is beyond "
        "its bound, by weight. Read it with worst field and coverage: a mean hides a single bad field.",
    ),
    ("Usual", "The median of the earlier windows of this report."),
    ("Coverage", "What no rule looks at may be wrong unnoticed; the score says nothing about it."),
    ("±", "The figure is an estimate; the true value lies within this distance with high certainty. Others are exact."),
    ("Alert", "Open: found. Still: goes on. Resolved: as demanded again. Silenced: a person asked not to be told."),
    ("Rows at risk", "How many rows a finding concerns."),
    ("Set aside", "Rows that break a rule are kept apart, each with its reason, and are not in the table."),
)


def how_to_read() -> Markup:
    """Return what the words mean."""
    pairs = joined(joined([element("dt", word), element("dd", meaning)]) for word, meaning in HOW_TO_READ)
    return element("section", element("h2", "How to read this"), element("dl", pairs), id="how")
