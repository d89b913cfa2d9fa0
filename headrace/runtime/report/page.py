"""The whole page: self-contained, no script, nothing asked of any other host."""

from headrace.runtime.report import details, models, problems, summary, trends
from headrace.runtime.report.data import ReportData
from headrace.runtime.report.markup import Markup, element, joined, moment
from headrace.runtime.report.style import STYLE, style_source

MOST_BYTES = 1_000_000
"""No page is larger; lists are cut, and say so."""


def policy() -> str:
    """Return the page's content security policy: nothing but its own style."""
    return f"default-src 'none'; style-src {style_source()}; base-uri 'none'; form-action 'none'"


def report_page(data: ReportData) -> str:
    """Return the page as HTML. What is personal is taken out before anything is drawn."""
    shown = data.masked()
    sections = (
        summary.score_cards(shown),
        summary.changes(shown),
        problems.problems(shown),
        details.advice(shown),
        trends.trends(shown),
        models.models(shown.learners),
        details.alerts(shown),
        details.fields(shown),
        details.files(shown),
        details.unchecked(shown),
        details.how_to_read(),
    )
    body = element(
        "body",
        element("a", "To the content", href="#score", class_="skip"),
        _header(shown),
        element("main", *sections),
        element("footer", element("p", "Made by headrace from counts and summaries, and the few rows that are shown.")),
    )
    return whole(f"Data quality of {data.dataset}", body)


def whole(title: str, body: Markup) -> str:
    """Return a page with its head: nothing in it is asked of anybody else."""
    return f"<!DOCTYPE html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(STYLE)),
    )


def _header(data: ReportData) -> Markup:
    first, last = data.windows[0] if data.windows else data.newest, data.newest
    about = [
        f"{len(data.windows)} windows from {data.label(first)} to {data.label(last)} ({data.clock} time, UTC)",
        f"owner: {data.owner}" if data.owner else "",
        f"made {moment(data.made_at)} UTC",
    ]
    told = element("p", data.description) if data.description else ""
    return element(
        "header",
        element("h1", f"Data quality: {data.dataset}"),
        joined([told]),
        element("p", summary.lead(data), class_="lead"),
        element("p", " · ".join(filter(None, about)), class_="soft"),
    )
