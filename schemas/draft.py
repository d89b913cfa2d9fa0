"""Drafts: the contract of a dataset that came without one, written from its first file as a document to be edited."""

import polars as pl
import yaml

from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_fields import PHYSICAL
from headrace.schemas.draft_checks import looks_like_key, null_bound, window_of
from headrace.schemas.guess import ColumnGuess, Sample, guess_columns
from headrace.schemas.names import safe_names
from headrace.schemas.record import FieldType, RecordField

_LOGICAL = {
    FieldType.LONG: ("integer", "long"),
    FieldType.DOUBLE: ("number", "double"),
    FieldType.BOOLEAN: ("boolean", "boolean"),
    FieldType.DATE: ("date", "date"),
    FieldType.TIMESTAMP: ("timestamp", "timestamp-micros"),
    FieldType.STRING: ("string", "string"),
}

_HEAD = """\
# Contract of dataset {dataset}, drafted by headrace from its first file ({rows} rows looked at).
# It has types and no rules: a row is put aside only if a value does not fit its field's type. Its checks are guesses
# from that file and only inform.
#
# It is yours to edit and is law from the next file on. What to do first:
#   - check the types: text is safe, a number or date can be averaged and compared;
#   - say who answers for the data (team), and what the fields mean (description);
#   - add rules, for example under a field:
#         required: true
#         logicalTypeOptions: {{minimum: 0, maximum: 100}}
#         quality: [{{id: known_status, metric: invalidValues, arguments: {{validValues: ["new", "paid"]}}, mustBe: 0}}]
#   - sharpen the checks: bounds, severity (warning, error), and others of docs/guide/checks.md;
#   - raise the version, set status to active, and run: headrace contract lint {dataset}.odcs.yaml
# All rules and checks: docs/guide/contracts.md. The format is ODCS v3.1,
# https://bitol-io.github.io/open-data-contract-standard/
apiVersion: v3.1.0
kind: DataContract
id: {dataset}
version: "0.1.0"
status: draft
team:
  name: ""          # who answers for this data; alerts name them
customProperties:
  - {{property: headrace.tolerance, value: 0.01}}   # an alert opens when more than this share of a file is rejected
schema:
  - name: {dataset}
    physicalType: file
"""
_WINDOW = """\
    customProperties:   # checks look at windows of this length by this field
      - {{property: headrace.timeField, value: {field}}}
      - {{property: window, value: {size}}}
"""
_VOLUME = """\
    quality:
      - {id: some_rows, metric: rowCount, mustBeGreaterOrEqualTo: 1, severity: info}
    properties:
"""


def draft_contract(dataset: str, sample: Sample) -> Contract:
    """Return a contract with the types of a sample, checks that only inform, and no rules.

    A draft rejects no row that fits its types.

    Deterministic: the same sample gives the same text, and so the same version.
    """
    names = safe_names(sample.columns)
    parts = [_HEAD.format(dataset=_plain(dataset), rows=f"{sample.frame.height:,}")]
    guesses = guess_columns(sample)
    field, size = window_of(sample, names, guesses)
    parts += [_WINDOW.format(field=_plain(field), size=size) if field else "", _VOLUME]
    for position, (name, original, guess) in enumerate(zip(names, sample.columns, guesses, strict=True)):
        lines = _property(name, original, guess)
        lines += _quality(name, guess, sample.frame.to_series(position), position)
        parts.append("\n".join(lines) + "\n")
    if not names:
        parts[-1] = parts[-1].rstrip() + " []\n"
    return parse_contract("".join(parts), f"draft of {dataset}")


def _property(name: str, original: str, guess: ColumnGuess) -> list[str]:
    logical, physical = _LOGICAL[guess.type]
    lines = [f"      - name: {_plain(name)}"]
    if original != name:
        lines.append(f"        physicalName: {_quoted(original)}")
    lines += [f"        logicalType: {logical}", f"        physicalType: {physical}{_remark(guess)}"]
    if guess.null_values:
        listed = ", ".join(_quoted(value) for value in guess.null_values)
        lines.append(f"        customProperties: [{{property: headrace.nullValues, value: [{listed}]}}]")
    return lines


def property_line(field: RecordField) -> str:
    """Return a field as a line for the properties of a contract.

    >>> property_line(RecordField("unit_price", FieldType.DOUBLE, "Unit Price"))
    '- {name: unit_price, physicalName: "Unit Price", logicalType: number, physicalType: double}'
    """
    logical = next(name for name, kinds in PHYSICAL.items() if field.type in kinds)
    parameters = {
        FieldType.DECIMAL: f"({field.precision}, {field.scale})",
        FieldType.FIXED: f"({field.size})",
        FieldType.ENUM: f"({', '.join(field.symbols)})",
    }
    physical = f"{field.type.value}{parameters.get(field.type, '')}"
    original = f", physicalName: {_quoted(field.doc)}" if field.doc else ""
    shown = _quoted(physical) if field.type in parameters else physical
    return f"- {{name: {_plain(field.name)}{original}, logicalType: {logical}, physicalType: {shown}}}"


def _quality(name: str, guess: ColumnGuess, column: pl.Series, position: int) -> list[str]:
    bound = null_bound(guess)
    found = []
    if bound is not None:
        found.append(f"metric: nullValues, mustBeLessOrEqualTo: {bound}, unit: percent")
    if looks_like_key(name, column, guess, position):
        found.append("metric: duplicateValues, mustBe: 0")
    entries = [f"          - {{{entry}, severity: info}}" for entry in found]
    return ["        quality:", *entries] if entries else []


def _remark(guess: ColumnGuess) -> str:
    if not guess.values:
        return "   # no value seen, so text"
    rows = guess.values + guess.nulls
    return f"   # {guess.nulls:,} of {rows:,} values missing" if guess.nulls else ""


def _plain(name: str) -> str:
    """Return a safe name as YAML text: quoted where YAML reads a word as something else (no, null, on)."""
    return name if yaml.safe_load(name) == name else _quoted(name)


def _quoted(text: str) -> str:
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return dumped.strip()
