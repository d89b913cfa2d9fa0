"""The page at /: what can be asked, of which learner, with which fields. Self-contained; no script, light and dark."""

import html
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace.embedded.predict.openapi import example_record
from headrace.embedded.predict.rack import Shelf
from headrace.schemas.learner_spec import Task

if TYPE_CHECKING:
    from headrace.embedded.predict.served import Served

_STYLE = """
:root{color-scheme:light dark;--ink:#1b2430;--soft:#55606f;--line:#d5dbe3;--paper:#fff;--card:#f6f8fa;--accent:#1a63d8}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa7b5;--line:#313b47;--paper:#0f141a;--card:#171e26;
--accent:#6cb0ff}}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .25rem;overflow-wrap:anywhere}
p{margin:.3rem 0}.soft{color:var(--soft)}a{color:var(--accent)}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;overflow-x:auto;
white-space:pre-wrap;overflow-wrap:anywhere}
code,pre{font:.9rem/1.45 ui-monospace,"DejaVu Sans Mono",monospace}
table{border-collapse:collapse;margin:.5rem 0}th,td{text-align:left;padding:.2rem 1rem .2rem 0;
border-bottom:1px solid var(--line);vertical-align:top}thead th{color:var(--soft)}tbody th{font-weight:500}
"""
_WAYS = (
    ("POST /predict/LEARNER", "one record as a JSON object, or a list of up to 1,000: one prediction each, in order"),
    ("GET /models", "every learner that is served"),
    ("GET /models/LEARNER", "one, with its fields"),
    ("GET /openapi.json", "all of this as OpenAPI 3.1, with a schema for each learner"),
    ("GET /health", "which snapshot each learner answers from, and what stands in the way of a newer one"),
)


def page(shelf: Shelf, address: str) -> str:
    """Return the page for what is served now, at an address (host:port)."""
    parts = [_learner(one, address) for _, one in sorted(shelf.served.items())]
    parts += [_waiting(name, shelf.problems.get(name, "")) for name in shelf.names if name not in shelf.served]
    ways = _table(("ask", "for"), ((f"<code>{_text(way)}</code>", _text(told)) for way, told in _WAYS))
    nothing = "" if parts else "<p>No learner is there yet: docs/guide/learners.md tells how one is made.</p>"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>headrace: predictions</title>'
        f"<style>{_STYLE}</style></head><body><h1>Predictions</h1>"
        "<p>The champion of each learner’s newest snapshot answers; the page is of this moment. "
        f'As a program reads it: <a href="/openapi.json">/openapi.json</a>.</p>{ways}{nothing}{"".join(parts)}'
        "</body></html>"
    )


def _learner(one: "Served", address: str) -> str:
    name, spec = one.spec.name, one.spec
    example = "{}" if spec.task is Task.FORECAST else json.dumps(example_record(one), ensure_ascii=False)
    told = f"{spec.task.value} on {spec.dataset}"
    told += f", predicts {one.about()['predicts']}" if one.about()["predicts"] else ""
    fields = _table(
        ("field", "kind", "records of the dataset"),
        (
            (_text(field["name"]), _text(field["kind"]), "always have it" if field["required"] else "may lack it")
            for field in one.fields()
        ),
    )
    command = f"curl -s http://{address}/predict/{name} -H 'Content-Type: application/json' -d '{example}'"
    return (
        f"<h2>{_text(name)}</h2><p>{_text(spec.description)}</p>"
        f'<p class="soft">{_text(told)}; version {_text(spec.version)}, answered by {_text(one.champion.name)}, '
        f"which has learned {one.snapshot.rows:,} records</p>"
        f"{fields if spec.features else ''}<pre>{_text(command)}</pre>"
    )


def _waiting(name: str, problem: str) -> str:
    return f"<h2>{_text(name)}</h2><p>{_text(problem or 'it has no snapshot yet')}</p>"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: str) -> str:
    return html.escape(value)
