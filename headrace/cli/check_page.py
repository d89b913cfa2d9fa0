"""The page of checks, made from the installed checks: python -m headrace.cli.check_page writes docs/guide/checks.md.

A test compares the page with what this makes, and reads every example as part of a contract.
"""

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from headrace.cli.check_examples import EXAMPLES, FIELDS
from headrace.schemas.check_catalog import check_named, check_names
from headrace.schemas.check_rules import CheckRule, Unit
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_bounds import THRESHOLDS
from headrace.stream_processors.checks.base import Check, FieldFigure

PAGE = Path("docs/guide/checks.md")
_BUILT_IN = "headrace.stream_processors.checks."
# What a check's figures are made of, where they are no counts and sums: how far the observed value may be off.
_ESTIMATES = {
    "Quantiles": "quantiles, each within 1 % of its value",
    "Distinct": "distinct values, exact up to 512, then within the error that is told",
    "Top": "the most frequent values, exact up to 64 different ones, then within the error that is told",
    "KeySet": "keys, exact up to 200,000 of them, then within the error that is told",
}
_FIGURES = {FieldFigure.QUANTILES: "Quantiles", FieldFigure.DISTINCT: "Distinct", FieldFigure.TOP: "Top"}
_UNITS = {
    Unit.ROWS: "rows",
    Unit.PERCENT: "percent (or rows, with `unit: rows`)",
    Unit.SECONDS: "seconds",
    Unit.VALUE: "the value's own unit",
}

_HEAD = f"""\
# Checks

Made by `make docs` from the installed checks; a test holds it against the code.

A check looks at the records of a window together and ends in a verdict: pass, fail, or not checked, which is never a
pass. It rejects no row. Under `quality` of a field, or of the schema object, a contract asks for one like this:

```yaml
- id: temperature_there
  type: custom
  engine: headrace
  severity: warning            # info, warning (default) or error
  implementation: |
    check: null_rate
    atMost: 2
    unit: percent
```

`implementation` holds `check`, the check's own parameters, and of these keys what is needed:

- the bound of what is seen: {", ".join(f"`{key}`" for key in THRESHOLDS)}; one lower and one upper bound go together
- `unit`: `percent` or `rows`, where a check counts rows; without it the unit that stands below
- `fields: [a, b]` for a check at the schema object that looks at fields

An unknown key is refused, by line. [Contracts](contracts.md) says which of the standard's own words ask for a check.

"""


def check_page() -> str:
    """Return the whole page as Markdown."""
    names = built_in()
    index = " · ".join(f"[{name}](#{name})" for name in names)
    return _HEAD + f"{index}\n\n" + "\n".join(_section(name) for name in names)


def built_in() -> tuple[str, ...]:
    """Return the names of the checks that come with headrace."""
    return tuple(name for name in check_names() if type(check_named(name)).__module__.startswith(_BUILT_IN))


def example_contract(name: str) -> Contract:
    """Return a contract with the example of a check."""
    field, text = EXAMPLES[name]
    implementation = f"check: {name}\n{text}"
    entry = {"id": name, "type": "custom", "engine": "headrace", "implementation": implementation}
    properties: list[dict[str, Any]] = [{"name": key, "logicalType": kind} for key, kind in FIELDS.items()]
    schema: dict[str, Any] = {"name": "d", "properties": properties}
    next((found for found in properties if found["name"] == field), schema)["quality"] = [entry]
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "d", "version": "1", "status": "active"}
    return parse_contract(json.dumps(head | {"schema": [schema]}), f"example of {name}")


def _section(name: str) -> str:
    check: Check = check_named(name)
    rule = _rule(name)
    lines = [f"## {name}\n", f"{inspect.cleandoc(type(check).__doc__ or '')}\n"]
    lines += [f"- dimension: {check.dimension}", f"- finds: {check.summary}", f"- counts in: {_UNITS[check.unit]}"]
    lines += [f"- needs: {_needs(check)}", f"- figures: {_precision(check, rule)}"]
    if check.order_bound:
        lines.append("- order-bound: what it finds depends on the order of the rows within a file")
    if check.reason is not None:
        lines.append(f"- rows that break it: `{check.reason}`")
    lines += ["", *_parameters(check), f"For example, {_place(name)}:\n", "```yaml", *_example(name), "```"]
    return "\n".join([*lines, f"which says: {check.sentence(rule)}.\n"])


def _rule(name: str) -> CheckRule:
    return example_contract(name).checks[0]


def _needs(check: Check) -> str:
    if not check.needs_fields:
        return "no field"
    return "a field" if check.needs_fields == 1 else f"{check.needs_fields} fields"


def _precision(check: Check, rule: CheckRule) -> str:
    """Return whether a check counts or estimates, from the sketches that it keeps or reads."""
    own = {name for name in _ESTIMATES if name in vars(sys.modules[type(check).__module__])}
    read = {_FIGURES[figure] for figures in check.reads(rule).values() for figure in figures if figure in _FIGURES}
    found = [_ESTIMATES[name] for name in _ESTIMATES if name in own | read]
    if found:
        return f"estimated: {'; '.join(found)}"
    # A check of exact figures that passes an error on has cases where it cannot be exact; its text says which.
    return "exact, or with the error that is told" if "error=" in inspect.getsource(type(check)) else "exact"


def _parameters(check: Check) -> Iterator[str]:
    fields = check.Model.model_fields
    if not fields:
        yield "It has no parameters of its own.\n"
        return
    yield "| parameter | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, found in fields.items():
        default = "required" if found.is_required() else f"`{json.dumps(found.get_default(), default=str)}`"
        told = (found.description or "").replace("|", "\\|").replace("\n", " ")
        yield f"| `{found.alias or key}` | {_type(found)} | {default} | {told} |"
    yield ""


def _type(found: FieldInfo) -> str:
    kind = found.annotation
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    return f"`{text.replace('typing.', '')}`".replace("|", "\\|")


def _place(name: str) -> str:
    field = EXAMPLES[name][0]
    return f"under `quality` of field `{field}`" if field else "under `quality` of the schema object"


def _example(name: str) -> list[str]:
    lines = [f"- id: {name}", "  type: custom", "  engine: headrace", "  implementation: |", f"    check: {name}"]
    return [*lines, *(f"    {line}" for line in EXAMPLES[name][1].splitlines())]


if __name__ == "__main__":
    PAGE.write_text(check_page(), encoding="utf-8")
