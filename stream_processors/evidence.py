"""What the warehouse's rows say of a finding: segments, fields missing with it, files and rows to look at."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.expression import KIND_OF, Kind
from headrace.stream_processors.checks.base import Scope
from headrace.stream_processors.elsewhere import Elsewhere
from headrace.stream_processors.learner_evidence import LearnerEvidence, Specs
from headrace.stream_processors.steps import learner_sql, row_conditions, segment_sql
from headrace.stream_processors.steps.advice import rule_gain
from headrace.stream_processors.steps.advise import MISSING_CHECKS, TIME_PARTS, TOGETHER_SHARE, Finding, days_of
from headrace.stream_processors.steps.model_effect import Effect
from headrace.stream_processors.steps.segments import Counted, Segment, rank
from headrace.transport.warehouse import Warehouse

SAMPLES = 5
_YEAR_MICROS = 400 * 86_400 * 1_000_000
_PAIRED, _MOST_PAIRS = 4, 6
DRIFTS: Final = frozenset({"psi_drift", "category_drift", "unit_shift", "quantile_bounds"})
"""Checks whose finding is that a field's values are others than before: what that cost learners is looked at."""
# A file is mostly a period of its own: with a part of time it names the same rows a second time.
_PERIODS: Final = TIME_PARTS | {"_file"}


@dataclass(frozen=True)
class Window:
    """Where a finding is in time, in microseconds; `arrival`: by when the records came."""

    since: int
    until: int
    arrival: bool = False


@dataclass(frozen=True)
class Evidence:
    """What was found out about a finding.

    `unexplained` are segments of the rows in which the field alone is missing, `elsewhere` what other datasets say of
    the same days, `file` and `file_name` the file with most of the rows in the window, `effects` what a drift cost
    learners.
    """

    segments: Sequence[Segment] = ()
    together: Mapping[str, float] = field(default_factory=dict)
    unexplained: Sequence[Segment] = ()
    elsewhere: Sequence[str] = ()
    samples: Sequence[tuple[str, int]] = ()
    file: str = ""
    file_name: str = ""
    unseen: Sequence[str] = ()
    known: Sequence[str] = ()
    figures: Sequence[str] = ()
    query: str = ""
    effects: Sequence[Effect] = ()


class Investigator:
    """Asks the warehouse. Calls block; they raise ServiceUnreachable and WarehouseRefused.

    `law` gives the contract of another dataset, None where it is not known: such a dataset is then not looked at;
    `learners` those of the home.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        law: Callable[[str], Contract | None] = lambda _: None,
        learners: Specs = tuple,
    ) -> None:
        self._warehouse = warehouse
        self._elsewhere = Elsewhere(warehouse, law)
        self._learners = LearnerEvidence(self._rows, learners)

    def of_rule(self, contract: Contract, rule: CheckRule, window: Window) -> Evidence:
        """Return the evidence for a rule that failed in a window.

        Segments of what can be told of any row are looked for in all rows of the 400 days up to the window's end, so
        that a day can be told from the others; rows to look at come from the window. A rule whose figure is of no rows,
        like their number, has no evidence.
        """
        if check_named(rule.check).scope is Scope.LEARNER:
            return self._of_learner(contract, rule, window)
        inside = segment_sql.between(contract, window.since, window.until, arrival=window.arrival)
        before = max(0, window.until - _YEAR_MICROS)
        year = segment_sql.between(contract, before, window.until, arrival=window.arrival)
        earlier = segment_sql.between(contract, before, window.since, arrival=window.arrival)
        figures = check_named(rule.check).sql(rule) or {}
        condition, where = segment_sql.row_condition(figures.get("failed", "")), year
        said: tuple[str, ...] = ()
        if not condition:
            where = inside
            condition, said = self._special(contract, rule, inside, earlier)
        if not condition:
            return Evidence()
        whole = self._rows(segment_sql.totals_query(contract, condition, where))[0]
        if not whole[0]:
            return Evidence()
        segments = self._segments(contract, rule, condition, where, whole)
        found = Evidence(
            segments=segments,
            figures=said,
            query=segment_sql.evidence_query(contract, condition, tuple(segments[0].parts) if segments else (), where),
            samples=[
                (str(file), int(row))
                for file, row in self._rows(segment_sql.sample_query(contract, condition, inside, SAMPLES))
            ],
        )
        found = replace(found, **self._of_missing(contract, rule, condition, where, whole, segments))
        found = replace(found, **self._spellings(contract, rule, inside, earlier))
        if rule.check in DRIFTS:
            found = replace(found, effects=self._learners.effects(contract, rule.fields, condition, inside, earlier))
        return self._with_files(contract, condition, inside, found)

    def _of_learner(self, contract: Contract, rule: CheckRule, window: Window) -> Evidence:
        """Return the evidence for what a learner found: where it is among the rows of the window itself."""
        inside, earlier = _spans(contract, rule, window)
        about = self._learners.finding(contract, rule, inside, earlier, SAMPLES)
        if not about.condition:
            return Evidence()
        whole = self._rows(segment_sql.totals_query(contract, about.condition, inside))[0]
        if not whole[0]:
            return Evidence()
        segments = self._segments(contract, rule, about.condition, inside, whole)
        parts = segments[0].parts if segments else {}
        samples = about.samples or segment_sql.sample_query(contract, about.condition, inside, SAMPLES)
        found = Evidence(
            segments=segments,
            samples=[(str(file), int(row)) for file, row in self._rows(samples)],
            figures=(*about.said, *self._learners.of_segment(contract, about, parts)),
            query=segment_sql.evidence_query(contract, about.condition, tuple(parts), inside),
        )
        return self._with_files(contract, about.condition, inside, found)

    def stored(self, contract: Contract, window: Window, rule: CheckRule | None = None) -> int:
        """Return how many rows of a window are stored so far; of a learner's rule those whose predictions are too."""
        if rule is not None and check_named(rule.check).scope is Scope.LEARNER:
            inside, _ = _spans(contract, rule, window)
            predicted = learner_sql.predicted_condition(contract, str(rule.parameters["learner"]), inside)
            return int(self._rows(segment_sql.totals_query(contract, predicted, inside))[0][0])
        where = segment_sql.between(contract, window.since, window.until, arrival=window.arrival)
        return int(self._rows(segment_sql.totals_query(contract, "true", where))[0][0])

    def waits_for_learners(self, contract: Contract, rule: CheckRule, window: Window) -> bool:
        """Return True for a drift of a learner's feature in a window of which it has not predicted half of the rows."""
        if rule.check not in DRIFTS:
            return False
        where = segment_sql.between(contract, window.since, window.until, arrival=window.arrival)
        predicted = self._learners.predicted(contract, rule.fields, where)
        return predicted is not None and 2 * predicted < self.stored(contract, window)

    def _special(self, contract: Contract, rule: CheckRule, inside: str, earlier: str) -> tuple[str, tuple[str, ...]]:
        """Return the condition of a check whose figure is no count of rows, and what was seen on the way to it."""
        if condition := row_conditions.own_condition(contract, rule, inside):
            return condition, ()
        if rule.check == "stuck_value":
            return self._stuck(contract, rule, inside)
        if rule.check == "category_drift":
            query = row_conditions.grown_query(contract, rule.fields[0], inside, earlier)
            grown = [(str(value), *map(int, counts)) for value, *counts in self._rows(query)]
            return row_conditions.grown_condition(rule.fields[0], grown), ()  # type: ignore[arg-type]
        if rule.check in {"unit_shift", "psi_drift"}:
            return self._moved(contract, rule, inside, earlier), ()
        return "", ()

    def _stuck(self, contract: Contract, rule: CheckRule, inside: str) -> tuple[str, tuple[str, ...]]:
        names = tuple(rule.parameters.get("key", ()))
        found = self._rows(row_conditions.stuck_query(contract, rule, inside))
        listed = [f"{' '.join(keys)} {longest:,} times" for keys, _, longest in found if keys]
        personal = any(one.personal for one in contract.fields if one.name in {*names})
        said = [f"Repeat one value too long: {', '.join(listed[:20])}."] if listed and not personal else []
        return row_conditions.keyed_condition(names, [list(keys) for keys, *_ in found]), tuple(said)

    def _moved(self, contract: Contract, rule: CheckRule, inside: str, earlier: str) -> str:
        name, shares = rule.fields[0], (*row_conditions.USUAL, 0.5)
        (old, rows), *_ = self._rows(row_conditions.quantiles_query(contract, name, earlier, shares))
        if not rows:
            return ""
        if rule.check == "psi_drift":
            return row_conditions.outside_condition(name, float(old[0]), float(old[1]))
        (new, _), *_ = self._rows(row_conditions.quantiles_query(contract, name, inside, shares))
        return row_conditions.moved_condition(name, float(old[2]), float(new[2]))

    def _of_missing(
        self,
        contract: Contract,
        rule: CheckRule,
        condition: str,
        where: str,
        whole: tuple[int, int],
        segments: Sequence[Segment],
    ) -> dict[str, Any]:
        """Return what is missing with the field, where it alone is missing, and what others say of the worst days."""
        together = self._together(contract, rule, condition, where)
        if rule.check not in MISSING_CHECKS:
            return {"together": together}
        partners = [name for name, share in sorted(together.items()) if share >= TOGETHER_SHARE]
        alone, days = segments, days_of(segments)
        if partners:
            query = segment_sql.alone_condition(condition, partners)
            left = self._rows(segment_sql.totals_query(contract, query, where))[0]
            alone = self._segments(contract, rule, query, where, (left[0], whole[1])) if left[0] else ()
        elsewhere = self._elsewhere.on_days(contract, days) if partners and days else ()
        return {"together": together, "unexplained": alone, "elsewhere": elsewhere}

    def _spellings(self, contract: Contract, rule: CheckRule, inside: str, earlier: str) -> dict[str, Any]:
        """Return the values that are new in the window, and those that were known, of a field of texts."""
        names = [one.name for one in contract.fields if KIND_OF[one.type.type] is Kind.TEXT and not one.personal]
        if rule.check not in {"in_set", "category_drift", "reference"} or [*rule.fields[:1]] != [*rule.fields]:
            return {}
        if rule.fields[0] not in names:
            return {}
        found = self._rows(row_conditions.grown_query(contract, rule.fields[0], inside, earlier))
        allowed = [str(one) for one in rule.parameters.get("values", ())]
        known = allowed or [str(value) for value, _, times, *_ in found if times]
        return {"known": known, "unseen": [str(value) for value, now, *_ in found if now and str(value) not in known]}

    def _with_files(self, contract: Contract, condition: str, inside: str, found: Evidence) -> Evidence:
        """Return the evidence with the file that holds most of the rows, and names instead of ids of files."""
        worst = next((str(file) for file, _ in self._rows(segment_sql.files_query(contract, condition, inside))), "")
        files = {one.parts["_file"] for one in (*found.segments, *found.unexplained) if "_file" in one.parts}
        query = segment_sql.names_query(contract.dataset, sorted({worst, *files}))
        names = {str(file): str(name) for file, name in self._rows(query)}
        return replace(
            found,
            segments=[_named(one, names) for one in found.segments],
            unexplained=[_named(one, names) for one in found.unexplained],
            file=worst,
            file_name=names.get(worst, ""),
        )

    def _segments(
        self, contract: Contract, rule: CheckRule, condition: str, where: str, whole: tuple[int, int]
    ) -> list[Segment]:
        left_out = row_conditions.texts_of(rule) if rule.check == "pii_leak" else rule.fields
        names = segment_sql.candidates(contract, left_out)
        if names:
            counts = self._rows(segment_sql.few_values_query(contract, names, where))[0]
            names = tuple(name for name, few in zip(names, counts, strict=True) if 1 < few <= segment_sql.MOST_VALUES)
        names = (*names, "_file", *(name for name, _ in segment_sql.time_parts(contract)))
        single = self._counted(contract, condition, [(name,) for name in names], where)
        best = rank(single, *whole)
        columns = list(dict.fromkeys(next(iter(one.parts)) for one in best))[:_PAIRED]
        pairs = [pair for pair in itertools.combinations(columns, 2) if not set(pair) <= _PERIODS][:_MOST_PAIRS]
        both = self._counted(contract, condition, pairs, where) if pairs else []
        return rank([*single, *both], *whole)

    def _counted(
        self, contract: Contract, condition: str, columns: Sequence[tuple[str, ...]], where: str
    ) -> list[Counted]:
        return [
            Counted(dict(zip(str(names).split(" "), texts, strict=True)), int(failed), int(total))
            for names, texts, failed, total in self._rows(
                segment_sql.segment_query(contract, condition, columns, where)
            )
        ]

    def _together(self, contract: Contract, rule: CheckRule, condition: str, where: str) -> dict[str, float]:
        names = [one.name for one in contract.fields if one.name not in rule.fields]
        if not names:
            return {}
        shares = self._rows(segment_sql.together_query(contract, condition, names, where))[0]
        return {name: float(share) for name, share in zip(names, shares, strict=True) if share}

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._warehouse.rows(query)


def _spans(contract: Contract, rule: CheckRule, window: Window) -> tuple[str, str]:
    """Return the conditions for a window, and for the 400 days before it; arrival is when the learner told of rows."""
    before, learner = max(0, window.until - _YEAR_MICROS), str(rule.parameters["learner"])
    spans = ((window.since, window.until), (before, window.since))
    if window.arrival:
        now, earlier = (learner_sql.told_between(learner, *span) for span in spans)
    else:
        now, earlier = (segment_sql.between(contract, *span) for span in spans)
    return now, earlier


def _named(segment: Segment, names: Mapping[str, str]) -> Segment:
    """Return a segment with the file's name in place of its id."""
    words = [
        f"file={names.get(value, value)}" if column == "_file" else f"{column}={value}"
        for column, value in segment.parts.items()
    ]
    return replace(segment, name=", ".join(words))


def spoken_effects(rule: CheckRule, evidence: Evidence) -> list[str]:
    """Return in words what a drift cost learners, dearest first."""
    return [one.spoken(", ".join(rule.fields)) for one in evidence.effects]


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
        unexplained=evidence.unexplained,
        together=evidence.together,
        elsewhere=evidence.elsewhere,
        unseen=evidence.unseen,
        known=evidence.known,
        figures=(*evidence.figures, *(f"{text}." for text in spoken_effects(rule, evidence)[:3])),
        meaning=meaning,
        fix_hint=rule.fix_hint,
        detail=alert["message"],
        loss=rule_gain(
            rule, contract.checks, alert["observed"], alert["bound"], (alert["rows_at_risk"], alert["rows"])
        ),
        query=evidence.query,
    )
