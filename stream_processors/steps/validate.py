"""The judgement: every row of a frame against every rule of its contract. Pure; columns until a row is known bad."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from headrace.core.vocabulary import Reason
from headrace.errors import SchemaRefused
from headrace.schemas.codec import polars_schema
from headrace.schemas.contract import Contract
from headrace.schemas.record import FieldType
from headrace.schemas.rules import Check, Length, MultipleOf, OneOf, Pattern, Range, Required, Rule
from headrace.stream_processors.steps.row_checks import broken_rows

_SHOWN = 80
_SHOWN_DEMAND = 200


@dataclass(frozen=True)
class RowFailure:
    """One broken rule of one rejected row: `index` is its place in the frame, `detail` what was seen and expected."""

    index: int
    code: Reason
    field: str
    rule: str
    detail: str


@dataclass(frozen=True)
class Verdicts:
    """What the rules say of a frame.

    `accepted` has a value for each row. `failures` are all broken rules of each rejected row, by row and then in the
    contract's order; a rule that only warns is among them if another rejects the row. `rules` counts the rows that
    broke each rule, warnings too; `reasons` counts rejected rows by the code of the rules that reject, a row with two
    codes in both.
    """

    accepted: pl.Series
    failures: tuple[RowFailure, ...]
    rules: Mapping[str, int]
    reasons: Mapping[Reason, int]

    @property
    def rejected(self) -> int:
        """Return how many rows go to quarantine."""
        return len(self.accepted) - int(self.accepted.sum())


def validate(frame: pl.DataFrame, contract: Contract) -> Verdicts:
    """Return the verdict on each row of a frame that has the record schema's types.

    A field that the frame does not have is null in every row; columns that the contract does not name are not looked
    at. Raises SchemaRefused if a field has another type than in the contract, which the publisher never lets through.
    """
    frame = _with_fields(frame, contract)
    kinds = {field.name: field.type.type for field in contract.fields}
    broken = frame.select(_broken(rule, kinds).alias(str(number)) for number, rule in enumerate(contract.rules))
    counts = _counts(broken)
    found = [number for number, count in enumerate(counts) if count]
    rejecting = [str(number) for number in found if contract.rules[number].rejects]
    if not rejecting:
        accepted = pl.Series("accepted", [True], dtype=pl.Boolean).new_from_index(0, frame.height)
        return Verdicts(accepted, (), {contract.rules[number].id: counts[number] for number in found}, {})
    rejected = broken.select(pl.any_horizontal(rejecting).alias("rejected")).to_series()
    return Verdicts(
        accepted=(~rejected).alias("accepted"),
        failures=_failures(frame, broken, rejected, [(number, contract.rules[number]) for number in found]),
        rules={contract.rules[number].id: counts[number] for number in found},
        reasons=_reasons(broken, [(number, contract.rules[number]) for number in found]),
    )


def _with_fields(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    wanted = polars_schema(contract.record_schema)
    missing = []
    for field in contract.fields:
        kind, found = wanted[field.name], frame.schema.get(field.name)
        if found is None:
            missing.append(pl.lit(None, dtype=kind).alias(field.name))
        elif found != kind:
            message = f'dataset "{contract.dataset}": field "{field.name}" is {found} in the records'
            hint = f"contract {contract.version} says {field.type.type}; publish under a contract with equal types"
            raise SchemaRefused(message, hint=hint)
    return frame.with_columns(missing) if missing else frame


def _counts(broken: pl.DataFrame) -> list[int]:
    """Return how many rows broke each rule."""
    return [int(column.sum()) for column in broken.iter_columns()]


def _broken(rule: Rule, kinds: Mapping[str, FieldType]) -> pl.Expr:
    """Return the expression that is true where a row breaks the rule, and never null."""
    return broken_rows(rule.check, rule.fields[0], kinds[rule.fields[0]]).fill_null(value=False)


def _reasons(broken: pl.DataFrame, found: list[tuple[int, Rule]]) -> dict[Reason, int]:
    by_code: dict[Reason, list[str]] = {}
    for number, rule in found:
        if rule.rejects:
            by_code.setdefault(rule.code, []).append(str(number))
    return {code: int(broken.select(pl.any_horizontal(columns)).sum().item()) for code, columns in by_code.items()}


def _failures(
    frame: pl.DataFrame, broken: pl.DataFrame, rejected: pl.Series, found: list[tuple[int, Rule]]
) -> tuple[RowFailure, ...]:
    """Return the broken rules of the rejected rows; only these rows are looked at."""
    places = rejected.arg_true().alias("_index")
    fields = list(dict.fromkeys(field for _, rule in found for field in rule.fields))
    bad = frame.select(fields)[places].with_columns(places)
    marks = broken[places]
    parts = [
        bad.filter(marks.to_series(number)).select(
            "_index", pl.lit(order, dtype=pl.Int32).alias("_order"), _detail(rule).alias("_detail")
        )
        for order, (number, rule) in enumerate(found)
    ]
    whole = pl.concat(parts).sort("_index", "_order")
    rules = [rule for _, rule in found]
    return tuple(
        RowFailure(index, rules[order].code, _place(rules[order]), rules[order].id, detail)
        for index, order, detail in whole.iter_rows()
    )


def _place(rule: Rule) -> str:
    return rule.fields[0] if len(rule.fields) == 1 else ""


def _detail(rule: Rule) -> pl.Expr:
    """Return what was seen and what was expected, for rows that broke the rule."""
    if isinstance(rule.check, Required):
        return pl.lit("is missing")
    seen = pl.concat_str(
        [pl.concat_str([pl.lit(f"{name}="), _shown(name)]) for name in rule.fields],
        separator=", ",
    )
    expected = _expected(rule.check)
    return pl.concat_str([seen, pl.lit(f"; expected {expected[:_SHOWN_DEMAND]}")])


def _shown(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.head(_SHOWN).fill_null("null")


def _expected(check: Check) -> str:
    if isinstance(check, OneOf):
        listed = ", ".join(str(value) for value in check.values[:10])
        return f"one of {listed}" + (f" and {len(check.values) - 10} more" if len(check.values) > 10 else "")
    if isinstance(check, Range):
        return _between(check)
    if isinstance(check, Length):
        low, high = check.minimum or 0, "any number" if check.maximum is None else check.maximum
        return f"{low} to {high} characters"
    if isinstance(check, Pattern):
        return f"a match of {check.text}"
    if isinstance(check, MultipleOf):
        return f"a multiple of {check.step:g}"
    return "a value" if isinstance(check, Required) else check.expression.text


def _between(check: Range) -> str:
    parts = []
    if check.minimum is not None:
        parts.append(f"{'more than' if check.above else 'at least'} {check.minimum}")
    if check.maximum is not None:
        parts.append(f"{'less than' if check.below else 'at most'} {check.maximum}")
    return " and ".join(parts)
