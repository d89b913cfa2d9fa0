"""One page for all datasets: which is good, which is not, and what to do first. Self-contained like the page of one."""

from collections.abc import Sequence
from dataclasses import replace

from headrace.runtime.report import summary
from headrace.runtime.report.data import ReportData
from headrace.runtime.report.details import together
from headrace.runtime.report.markup import Markup, element, joined, moment, number, table
from headrace.runtime.report.models import standing, verdict
from headrace.runtime.report.page import whole
from headrace.runtime.report.problems import sentences

_MOST_CARDS, _MOST_ROWS, _MOST_ALERTS, _MOST_WITHOUT = 60, 500, 3, 60
_RANK = {"critical": 0, "warning": 1, "info": 2}
_NO_SCORE = 101.0


def overview_page(found: Sequence[ReportData], without: Sequence[str], made_at: int) -> str:
    """Return the page as HTML, the datasets that need attention most first; `without` have no closed window yet.

    What is personal is taken out before anything is drawn.
    """
    shown = sorted((replace(one, fields=()).masked() for one in found), key=_urgency)
    sections = [_table(shown), _cards(shown), _others(without), _how()]
    body = element(
        "body",
        element("a", "To the content", href="#datasets", class_="skip"),
        element(
            "header",
            element("h1", "Data quality of all datasets"),
            element("p", lead(shown, without), class_="lead"),
            element("p", f"made {moment(made_at)} UTC", class_="soft"),
        ),
        element("main", *sections),
        element("footer", element("p", "Made by headrace from counts and summaries; no row was read for this page.")),
    )
    return whole("Data quality of all datasets", body)


def lead(found: Sequence[ReportData], without: Sequence[str]) -> str:
    """Return the page in a few sentences."""
    troubled = [one for one in found if _open(one)]
    told = [f"{len(found) + len(without)} datasets, {len(troubled)} of them with findings that need attention."]
    scored = [one for one in found if one.newest["score"] is not None]
    if scored:
        least = min(scored, key=lambda one: (one.newest["score"], one.dataset))
        told.append(f"The least score is {least.newest['score']:.1f} of 100, of {least.dataset}.")
    if without:
        told.append(f"{len(without)} have no closed window yet, so nothing is known of them.")
    return " ".join(told)


def _open(data: ReportData) -> list[str]:
    return [str(one["severity"]) for one in data.open_alerts if not one["silenced"]]


def _urgency(data: ReportData) -> tuple[int, int, float, str]:
    severities = _open(data)
    worst = min((_RANK.get(one, 2) for one in severities), default=3)
    score = data.newest["score"]
    return worst, -len(severities), _NO_SCORE if score is None else score, data.dataset


def _table(found: Sequence[ReportData]) -> Markup:
    headings = ("dataset", "score", "against usual", "worst field", "open findings", "fields checked", "newest window")
    rows = [_row(one, carded=at < _MOST_CARDS) for at, one in enumerate(found[:_MOST_ROWS])]
    body = table(headings, rows, "The datasets, what needs attention first") if rows else _NOTHING
    left = len(found) - len(rows)
    more = element("p", f"{left} more datasets are not shown.", class_="soft") if left > 0 else ""
    return element("section", element("h2", "At a glance"), body, more, id="datasets")


_NOTHING = element("p", "No dataset has a closed window yet.", class_="soft")


def _row(data: ReportData, *, carded: bool) -> list[object]:
    score, severities = data.newest["score"], _open(data)
    shown = "no score" if score is None else element("span", f"{score:.1f}", class_=summary.grade(score))
    told = ", ".join(f"{severities.count(one)} {one}" for one in dict.fromkeys(sorted(severities, key=_rank)))
    checked, others = data.coverage
    name = element("a", data.dataset, href=f"#dataset-{data.dataset}") if carded else data.dataset
    label = f"{data.label(data.newest)}, {number(data.newest['rows'])} rows"
    against = summary.moved(data).partition(" (")[0]
    coverage = f"{len(checked)} of {len(checked) + len(others)}"
    return [name, shown, against, _worst(data), told or "none", coverage, label]


def _rank(severity: str) -> int:
    return _RANK.get(severity, 2)


def _worst(data: ReportData) -> str:
    name, value = data.newest["worst_field"], data.newest["worst_score"]
    return f"{name} ({value:.1f})" if name and value is not None and value < 100 else "none"


def _cards(found: Sequence[ReportData]) -> Markup:
    cards = [_card(one) for one in found[:_MOST_CARDS]]
    left = len(found) - len(cards)
    more = (
        element("p", f"The first {len(cards)} datasets; the others are in the table.", class_="soft")
        if left > 0
        else ""
    )
    return (
        element("section", element("h2", "Dataset by dataset"), more, *cards, id="one-by-one") if cards else Markup("")
    )


def _card(data: ReportData) -> Markup:
    owner = f"owner: {data.owner}" if data.owner else "no owner named"
    about = " · ".join(filter(None, (data.description, owner)))
    _, others = data.coverage
    facts = [
        ("what changed", _listed(summary.changed(data)) or "nothing moved much"),
        ("needs attention", _findings(data)),
        ("what to do first", _first_advice(data)),
        ("models", _models(data)),
        ("not checked", ", ".join(others[:12]) + (f" and {len(others) - 12} more" if len(others) > 12 else "") or "-"),
        ("for more", f"headrace report {data.dataset} --html {data.dataset}.html"),
    ]
    pairs = joined(joined([element("dt", name), element("dd", value)]) for name, value in facts)
    return element(
        "article",
        element("h3", data.dataset),
        element("p", about, class_="soft"),
        element("p", summary.lead(data)),
        _spark(data),
        element("dl", pairs),
        class_="card dataset",
        id=f"dataset-{data.dataset}",
    )


def _spark(data: ReportData) -> Markup:
    drawn = summary.spark(data)
    told = element("figcaption", f"Score of {len(data.windows)} windows", class_="soft")
    return element("figure", drawn, told, class_="spark") if drawn else Markup("")


def _listed(parts: Sequence[object]) -> Markup:
    return element("ul", *(element("li", part) for part in parts), class_="plain") if parts else Markup("")


def _findings(data: ReportData) -> object:
    found = [one for one in data.open_alerts if not one["silenced"]]
    told: list[object] = []
    for one in found[:_MOST_ALERTS]:
        severity = summary.severity_class(str(one["severity"]))
        what, _ = sentences(str(one["message"]), data.dataset)
        told.append(joined([element("span", one["severity"], class_=f"tag {severity}"), what]))
    if len(found) > _MOST_ALERTS:
        told.append(f"and {len(found) - _MOST_ALERTS} more")
    return _listed(told) or "nothing just now"


def _models(data: ReportData) -> object:
    told = [f"{one.name}: {standing(one)}. {verdict(one)}".rstrip() for one in data.learners]
    return _listed(told) or "no learner predicts these records"


def _first_advice(data: ReportData) -> object:
    first = next(iter(together(data.advice)), None)
    if first is None:
        return "no finding calls for advice"
    where = f" Where: {first['segment']}." if first["segment"] else ""
    return f"{first['action']}{'' if str(first['action']).endswith('.') else '.'}{where}"


def _others(without: Sequence[str]) -> Markup:
    if not without:
        return Markup("")
    names = ", ".join(without[:_MOST_WITHOUT])
    more = f" and {len(without) - _MOST_WITHOUT} more" if len(without) > _MOST_WITHOUT else ""
    told = f"{names}{more}: no closed window yet. A window closes when later data has come."
    return element("section", element("h2", "Nothing known yet"), element("p", told), id="without")


def _how() -> Markup:
    words = (
        (
            "Score",
            "100 less what is lost to rules that fail, by rows concerned, breach and weight. Never read it alone.",
        ),
        ("Usual", "The median of the earlier windows."),
        ("Fields checked", "What no rule looks at may be wrong unnoticed; the score says nothing about it."),
    )
    pairs = joined(joined([element("dt", word), element("dd", meaning)]) for word, meaning in words)
    return element("section", element("h2", "How to read this"), element("dl", pairs), id="how")
