"""What the warehouse's rows say of a finding: segments, fields missing with it, rows to look at."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.stream_processors.steps import segment_sql
from headrace.stream_processors.steps.advice import rule_gain
from headrace.stream_processors.steps.advise import Finding
from headrace.stream_processors.steps.segments import Counted, Segment, rank
from headrace.transport.warehouse import Warehouse

SAMPLES = 5
_YEAR_MICROS = 400 * 86_400 * 1_000_000
_PAIRED, _MOST_PAIRS = 4, 6


@dataclass(frozen=True)
class Evidence:
    """What was found out about a finding."""

    segments: Sequence[Segment] = ()
    together: Mapping[str, float] = field(default_factory=dict)
    samples: Sequence[tuple[str, int]] = ()
    query: str = ""


class Investigator:
    """Asks the warehouse. Calls block; they raise ServiceUnreachable and WarehouseRefused."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def of_rule(self, contract: Contract, rule: CheckRule, since: int, until: int) -> Evidence:
        """Return the evidence for a rule that failed in the window from `since` to `until` (microseconds).

        Segments are looked for in all rows of the 400 days up to the window's end, so that a day can be told from the
        others; rows to look at come from the window. A rule whose figure is not a count of rows has no evidence.
        """
        figures = check_named(rule.check).sql(rule) or {}
        condition = segment_sql.row_condition(figures.get("failed", ""))
        if not condition:
            return Evidence()
        where = segment_sql.between(contract)
        window = {"since": since, "until": until}
        year = {"since": until - _YEAR_MICROS, "until": until}
        failed, total = self._rows(segment_sql.totals_query(contract, condition, where), year)[0]
        if not failed:
            return Evidence()
        segments = self._segments(contract, rule, condition, year, (failed, total))
        columns = tuple(segments[0].parts) if segments else ()
        return Evidence(
            query=segment_sql.evidence_query(contract, condition, columns, year["since"], year["until"]),
            segments=segments,
            together=self._together(contract, rule, condition, year),
            samples=[
                (str(file), int(row))
                for file, row in self._rows(segment_sql.sample_query(contract, condition, where, SAMPLES), window)
            ],
        )

    def _segments(
        self, contract: Contract, rule: CheckRule, condition: str, span: Mapping[str, int], whole: tuple[int, int]
    ) -> list[Segment]:
        where = segment_sql.between(contract)
        names = segment_sql.candidates(contract, rule.fields)
        if names:
            counts = self._rows(segment_sql.few_values_query(contract, names, where), span)[0]
            names = tuple(name for name, few in zip(names, counts, strict=True) if 1 < few <= segment_sql.MOST_VALUES)
        names = (*names, "_file", *(name for name, _ in segment_sql.time_parts(contract)))
        single = self._counted(contract, condition, [(name,) for name in names], span)
        best = rank(single, *whole)
        columns = list(dict.fromkeys(next(iter(one.parts)) for one in best))[:_PAIRED]
        pairs = list(itertools.combinations(columns, 2))[:_MOST_PAIRS]
        both = self._counted(contract, condition, pairs, span) if pairs else []
        return rank([*single, *both], *whole)

    def _counted(
        self, contract: Contract, condition: str, columns: Sequence[tuple[str, ...]], span: Mapping[str, int]
    ) -> list[Counted]:
        query = segment_sql.segment_query(contract, condition, columns, segment_sql.between(contract))
        return [
            Counted(dict(zip(str(names).split(" "), texts, strict=True)), int(failed), int(total))
            for names, texts, failed, total in self._rows(query, span)
        ]

    def _together(
        self, contract: Contract, rule: CheckRule, condition: str, span: Mapping[str, int]
    ) -> dict[str, float]:
        names = [one.name for one in contract.fields if one.name not in rule.fields]
        if not names:
            return {}
        shares = self._rows(
            segment_sql.together_query(contract, condition, names, segment_sql.between(contract)), span
        )[0]
        return {name: float(share) for name, share in zip(names, shares, strict=True) if share}

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._warehouse.rows(query, parameters)


def finding_of(contract: Contract, rule: CheckRule, alert: Mapping[str, Any], evidence: Evidence) -> Finding:
    """Return the finding that the rules of advice look at."""
    name = rule.fields[0] if len(rule.fields) == 1 else ""
    meaning = next((one.missing_means for one in contract.fields if one.name == name), "")
    return Finding(
        contract.dataset,
        rule.id,
        rule.check,
        name,
        observed=alert["observed"],
        unit=alert["unit"],
        rows=alert["rows"],
        rows_at_risk=alert["rows_at_risk"],
        segments=evidence.segments,
        together=evidence.together,
        meaning=meaning,
        fix_hint=rule.fix_hint,
        detail=alert["message"],
        loss=rule_gain(rule, contract.checks, alert["observed"], alert["bound"]),
        query=evidence.query,
    )
