"""Personal data in fields that are not tagged for it: what was found is counted, never shown."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import polars as pl
from pydantic import Field

from headrace.core.vocabulary import Reason
from headrace.schemas.check_rules import CheckRule, Dimension, Unit
from headrace.schemas.expression import Kind
from headrace.schemas.record import FieldType
from headrace.stream_processors.checks.base import Check, Parameters, Verdict, View, given, not_checked
from headrace.stream_processors.checks.checksums import iban, luhn
from headrace.stream_processors.checks.common import TEXTS, counted_verdict, demand, fields_problem

# A full stop ends a sentence, unless a digit follows.
_END: Final = r"(?:$|[^0-9A-Za-z.]|\.(?:$|[^0-9]))"
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PHONE: Final = (
    r"(?:^|[^0-9A-Za-z+.-])(?:\+[1-9][0-9]{0,2}[ ./-]?(?:\(?[0-9]{1,4}\)?[ ./-]?){2,5}[0-9]{2}"
    r"|\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}|[0-9]{3}[.-][0-9]{3}[.-][0-9]{4})(?:$|[^0-9A-Za-z.-])"
)
PATTERNS: Final[Mapping[str, str]] = {
    "email": r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    "phone": _PHONE,
    "ip_address": rf"(?:^|[^0-9.])(?:{_OCTET}\.){{3}}{_OCTET}{_END}"
    "|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}",
}
# Candidates that a check digit decides on; of several in one text the first counts.
_CANDIDATES: Final[Mapping[str, tuple[str, Callable[[pl.Series], pl.Series]]]] = {
    "iban": (r"(?:^|[^0-9A-Za-z])([A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30})(?:$|[^0-9A-Za-z])", iban),
    "card": (r"(?:^|[^0-9A-Za-z.])([2-6](?:[ -]?[0-9]){12,18})" + _END, luhn),
}
_LEAST_BYTES: Final[Mapping[str, int]] = {"email": 6, "phone": 8, "ip_address": 7, "iban": 15, "card": 13}
DETECTORS: Final = (*PATTERNS, *_CANDIDATES)


class PiiLeak(Check):
    """How many records hold an e-mail address, phone number, IBAN, card number or IP address in an untagged field."""

    name = "pii_leak"
    dimension = Dimension.CONFORMITY
    unit = Unit.ROWS
    summary = "personal data in text fields that are not tagged pii; counted, never shown"
    reason = Reason.PERSONAL_DATA

    class Model(Parameters):
        """Parameters."""

        detectors: list[str] = Field(
            default=list(DETECTORS), min_length=1, description=f"What to look for, of {', '.join(DETECTORS)}."
        )
        tagged: list[str] = Field(
            default=[], description="Fields where such values belong: those tagged pii. They are not looked at."
        )

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return why a detector or field cannot be looked at."""
        values = given(self.Model, rule)
        if unknown := [name for name in values.detectors if name not in DETECTORS]:
            return f'detector "{unknown[0]}" is not known: write some of {", ".join(DETECTORS)}'
        return fields_problem(rule, kinds, TEXTS, most=len(kinds)) if rule.fields else ""

    def broken(self, rule: CheckRule) -> pl.Expr:
        """Return the rows with a hit in any field."""
        return pl.any_horizontal(*self._hits(rule).values(), pl.lit(value=False))

    def figures(self, rule: CheckRule) -> Mapping[str, pl.Expr]:
        """Return the rows with any hit as `failed`, and the hits by field and detector."""
        hits = {name: hit.fill_null(value=False).sum() for name, hit in self._hits(rule).items()}
        return {"failed": self.broken(rule).fill_null(value=False).sum(), **hits}

    def sentence(self, rule: CheckRule) -> str:
        """Return the demand."""
        where = ", ".join(self._fields(rule)) or "any field"
        return f"{demand(rule)} records may have personal data in {where}"

    def verdict(self, rule: CheckRule, view: View) -> Verdict:
        """Return the verdict on the records with a hit, and where the hits are."""
        if not self._fields(rule):
            return not_checked("it has no text field to look at: all are tagged or of other types", view.rows)
        found = sorted(
            ((count, name) for name, count in view.counts.items() if name != "failed" and count), reverse=True
        )
        hits = ", ".join(f"{name.replace('.', ': ')} {count:,}" for count, name in found[:5])
        return counted_verdict(rule, view, f"seem to have personal data{f' ({hits})' if hits else ''}")

    def _fields(self, rule: CheckRule) -> tuple[str, ...]:
        tagged = frozenset(given(self.Model, rule).tagged)
        texts = rule.fields or tuple(name for name, kind in rule.types.items() if kind is FieldType.STRING)
        return tuple(name for name in texts if name not in tagged)

    def _hits(self, rule: CheckRule) -> dict[str, pl.Expr]:
        wanted = given(self.Model, rule).detectors
        return {f"{name}.{found}": _hit(pl.col(name), found) for name in self._fields(rule) for found in wanted}


def _hit(column: pl.Expr, detector: str) -> pl.Expr:
    return column.map_batches(partial(_found, detector=detector), return_dtype=pl.Boolean, is_elementwise=True)


def _found(texts: pl.Series, *, detector: str) -> pl.Series:
    """Return which texts have a hit. Only different texts that are long enough are looked at: most columns repeat."""
    different = texts.filter(texts.str.len_bytes() >= _LEAST_BYTES[detector]).unique()
    if detector in PATTERNS:
        hits = different.filter(different.str.contains(PATTERNS[detector]))
    else:
        pattern, checksum = _CANDIDATES[detector]
        found = different.str.extract(pattern)
        candidates = found.is_not_null()
        hits = different.filter(candidates).filter(checksum(found.filter(candidates).str.replace_all("[ -]", "")))
    return texts.is_in(hits.implode()) if len(hits) else pl.repeat(value=False, n=len(texts), eager=True)
