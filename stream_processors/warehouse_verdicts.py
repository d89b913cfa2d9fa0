"""A contract's verdicts on the rows that the warehouse holds: the same checks as in the stream, in a second place.

A check with SQL is evaluated from the rows. One without is evaluated from the figures that closed windows left, and
where there are none it is not checked and says so. No row is read into this process.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from headrace.errors import WarehouseRefused, WrongUse
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.contract import Contract
from headrace.schemas.rules import Rule
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import not_checked
from headrace.stream_processors.refused_rows import Source, stored_alone
from headrace.stream_processors.steps.file_facts import OTHERS, FileFacts, facts_of_file
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.stored_past import Past
from headrace.stream_processors.steps.stored_sql import (
    QUARANTINED_ROWS,
    QUARANTINED_RULES,
    STORED_STATE,
    UNREADABLE_ROWS,
    Span,
    differs,
    figures_query,
    rules_query,
)
from headrace.stream_processors.steps.stored_state import (
    Kept,
    keeps_own_figures,
    kept_of,
    needs_state,
    owners_of,
    same_figures,
)
from headrace.stream_processors.steps.verdicts import Known, evaluate
from headrace.stream_processors.steps.window_known import compared_rules, is_pinned_name
from headrace.stream_processors.steps.window_state import Part, WindowState
from headrace.transport.warehouse import Warehouse

_MICROS: Final = 1_000_000
_Figures = dict[str, dict[str, int]]


class Basis(StrEnum):
    """What a verdict was made of."""

    ROWS = "rows"
    STATE = "state"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Given:
    """A rule's verdict, its demand in words, and what it was made of.

    `differs` says why the stream may have observed something else, "" where both must agree.
    """

    judged: Judged
    demand: str
    basis: Basis
    differs: str = ""


@dataclass(frozen=True)
class Judgement:
    """The verdicts on one window (`start` and `end` in seconds since 1970) or on one `file`, in the contract's order.

    `rows` are all that were judged: the stored ones, and those that the judge refused, as quarantine has them.
    """

    start: int
    end: int
    file: str
    rows: int
    verdicts: tuple[Given, ...]


@dataclass(frozen=True)
class FileRules:
    """How many rows of a file break each rule about one record, by the rule's id: 0 is left out.

    `stored` are the rows in the table and `quarantined` those that this contract refused; `by_others` rows that another
    version refused, of which nothing is known here.
    """

    file: str
    stored: int = 0
    quarantined: int = 0
    by_others: int = 0
    failed_stored: Mapping[str, int] = field(default_factory=dict)
    failed_quarantined: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, int]:
        """Return the counts that the judge gave, of rows that it accepted and refused."""
        names = {*self.failed_stored, *self.failed_quarantined}
        return {name: self.failed_stored.get(name, 0) + self.failed_quarantined.get(name, 0) for name in names}


class WarehouseVerdicts:
    """Asks the warehouse; calls block, and raise ServiceUnreachable and WarehouseRefused.

    `source` is where the judged rows are (`refused_rows`), by default the stored ones alone.

    `by_version` gives a contract as it was law, None if it is not known: figures that another version kept are used
    where its rule kept the same. `now` is in seconds since 1970, for windows that were never closed.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        contract: Contract,
        by_version: Callable[[str], Contract | None],
        now: float,
        source: Source | None = None,
    ) -> None:
        self._warehouse, self._contract, self._now = warehouse, contract, now
        self._by_version, self._source = by_version, source or stored_alone(contract.dataset)
        self._rules_of: dict[str, dict[str, CheckRule]] = {contract.version: {one.id: one for one in contract.checks}}
        self._refused: dict[str, str] = {
            name: "a reference that is pinned under a name is kept by the stream alone: see its closed windows"
            for name, (_, reference) in compared_rules(contract.checks).items()
            if is_pinned_name(reference)
        }
        self._plans: dict[str, Mapping[str, str]] = {}
        self._by_state: set[str] = set()
        for rule in contract.checks:
            try:
                check = check_named(rule.check)
                self._plans[rule.id] = check.sql(rule) or {}
                if needs_state(check, rule):
                    self._by_state.add(rule.id)
            except Exception as error:  # a check may be anybody's code: whatever it raises is told, and never a pass
                self._refused[rule.id] = f"the check {rule.check} could not run: {type(error).__name__}: {error}"

    def judgements(self, span: Span, since: int = 0) -> list[Judgement]:
        """Return the verdicts on the newest windows or files from a moment on (seconds since 1970), oldest first.

        Earlier windows are looked at too where a check compares with them.
        """
        spec = self._contract.window
        if span is Span.EVENT and not spec.time_field:
            message = f'the contract of "{self._contract.dataset}" names no field of event time'
            raise WrongUse(message, hint="--clock arrival; or set headrace.window in the contract")
        rows = self._figures(span, 0 if self._looks_back() and span is not Span.FILE else since)
        if span is Span.FILE:
            return self._of_files(rows)
        kept, past, found = self._kept(span), Past(self._contract.checks), []
        seen = {int(name): (count, figures) for name, count, figures in rows}
        # What was before a window is known by the time it is looked at. Those that the stream closed empty count too.
        first = min(seen, default=0)
        for start in sorted({*seen, *(start for start, one in kept.items() if not one.part.rows and start > first)}):
            count, figures = seen.get(start, (0, {}))
            end = start + spec.size_secs
            given = self._judged(span, start, count, figures, kept.get(start), past)
            found.append(Judgement(start, end, "", count, given))
            past.learn(start, end, [one.judged for one in given], kept.get(start))
        return [one for one in found if one.start >= since]

    def _of_files(self, rows: Sequence[tuple[Any, int, _Figures]]) -> list[Judgement]:
        """Return the verdicts on files, with what was told of each when its receipt came."""
        told = self._told_files()
        found, past = [], Past(self._contract.checks)
        for name, count, figures in reversed(rows):
            file, one = str(name), told.get(str(name))
            known: dict[str, Any] = {facts.NOW: self._now, facts.UNREADABLE_ROWS: {}}
            if put_aside := self.unreadable.get(file, 0):
                known[facts.UNREADABLE_ROWS] = {file: put_aside}
            known |= {} if one is None else facts_of_file(one)
            given = self._verdicts(None, 0, 0, count, figures, None, past.known(0, 0, known))
            found.append(Judgement(0, 0, file, count, given))
        return found

    @cached_property
    def unreadable(self) -> Mapping[str, int]:
        """Return the rows that readers put aside, by file. No window has them: they have no event time."""
        found = self._warehouse.rows(UNREADABLE_ROWS, {"dataset": self._contract.dataset})
        return {str(file): int(rows) for file, rows in found}

    def _told_files(self) -> dict[str, FileFacts]:
        """Return what windows of arrival have of files, the newest telling of each."""
        found: dict[str, FileFacts] = {}
        for kept in kept_windows(self._warehouse, self._contract.dataset, Span.ARRIVAL.value, []):
            tellings = [FileFacts.of(text) for name, text in kept.part.receipts.items() if name != OTHERS]
            found |= {one.file: one for one in tellings if not one.first_name}
        return found

    def figures_of(self, files: Sequence[str]) -> dict[str, tuple[int, _Figures]]:
        """Return rows and figures of some files; of rules whose figures were refused there are none."""
        return {str(name): (rows, figures) for name, rows, figures in self._figures(Span.FILE, 0, files)}

    @property
    def refused(self) -> Mapping[str, str]:
        """Return why rules cannot be evaluated here, by id."""
        return self._refused

    def _looks_back(self) -> bool:
        if self._by_state:
            return True
        rules = [rule for rule in self._contract.checks if rule.id not in self._refused]
        return any(check_named(rule.check).reads_history for rule in rules)

    def _figures(self, span: Span, since: int, files: Sequence[str] = ()) -> list[tuple[Any, int, _Figures]]:
        """Return (window start or file, rows, figures by rule), the newest first; refused figures are left out."""
        try:
            return self._asked(span, self._plans, since, files)
        except WarehouseRefused:
            # Which of them it was is found one by one: a column may not be there yet, a check may be anybody's code.
            for name, plan in self._plans.items():
                try:
                    self._asked(span, {name: plan}, since, files)
                except WarehouseRefused as error:
                    self._refused[name] = str(error)
            sound = {name: plan for name, plan in self._plans.items() if name not in self._refused}
            return self._asked(span, sound, since, files)

    def _asked(
        self, span: Span, plans: Mapping[str, Mapping[str, str]], since: int, files: Sequence[str]
    ) -> list[tuple[Any, int, _Figures]]:
        places = [(rule, figure, text) for rule, plan in plans.items() for figure, text in plan.items()]
        texts = [text for _, _, text in places]
        query = figures_query(self._contract, span, texts, since, self._source.text, files=bool(files))
        found = []
        for name, rows, *values in self._warehouse.rows(query, {"since": since, "files": list(files)}):
            figures: _Figures = {}
            for (rule, figure, _), value in zip(places, values, strict=True):
                figures.setdefault(rule, {})[figure] = int(value or 0)
            found.append((name, int(rows), figures))
        return found

    def _kept(self, span: Span) -> dict[int, Kept]:
        """Return what closed windows left, by start: what was known beside rows, and state as far as rules need it."""
        rules = [rule for rule in self._contract.checks if rule.id in self._by_state]
        owners = sorted({owner for rule in rules for owner in owners_of(check_named(rule.check), rule)})
        return {one.start: one for one in kept_windows(self._warehouse, self._contract.dataset, span.value, owners)}

    def _judged(
        self, span: Span, start: int, count: int, figures: _Figures, kept: Kept | None, past: Past
    ) -> tuple[Given, ...]:
        known_facts = {facts.NOW: self._now} | (dict(kept.facts) if kept else {})
        end = start + self._contract.window.size_secs
        known = past.known(start, end, known_facts, span.value)
        return self._verdicts(span, start, end, count, figures, kept, known)

    def _verdicts(
        self, span: Span | None, start: int, end: int, count: int, figures: _Figures, kept: Kept | None, known: Known
    ) -> tuple[Given, ...]:
        receipts = kept.part.receipts if kept else {}
        from_rows = WindowState([Part(0, self._contract.version, count, counts=figures, receipts=receipts)])
        from_state = WindowState([kept.part] if kept else [])
        given = []
        for rule in self._contract.checks:
            if why := self._obstacle(rule, kept, windowed=end > start):
                given.append(_nothing(rule, why, count))
                continue
            basis = Basis.STATE if rule.id in self._by_state else Basis.ROWS
            state = from_state if basis is Basis.STATE else from_rows
            found = _verdict(rule, state, start, end, known, basis)
            told = "" if span is None or basis is Basis.STATE else differs(rule, span, self._plans.get(rule.id, {}))
            given.append(replace(found, differs=told))
        return tuple(given)

    def _obstacle(self, rule: CheckRule, kept: Kept | None, *, windowed: bool) -> str:
        """Return why a rule cannot be evaluated here, "" if it can."""
        if rule.id in self._refused:
            return self._refused[rule.id]
        if rule.id not in self._by_state:
            return ""
        if not windowed:
            return f"{rule.check} has no SQL: its figures are kept by window, not by file"
        if kept is None:
            return f"{rule.check} has no SQL: its figures are kept by the stream, and this window is not closed yet"
        if keeps_own_figures(check_named(rule.check), rule) and not same_figures(rule, self._kept_rule(rule, kept)):
            return (
                f"{rule.check} has no SQL, and contract {kept.version}, which this window was closed by, kept no "
                "figures for this demand"
            )
        return ""

    def _kept_rule(self, rule: CheckRule, kept: Kept) -> CheckRule | None:
        if kept.version not in self._rules_of:
            law = self._by_version(kept.version)
            self._rules_of[kept.version] = {one.id: one for one in law.checks} if law else {}
        return self._rules_of[kept.version].get(rule.id)

    def files(self) -> tuple[list[FileRules], dict[str, str]]:
        """Return by file how many rows break each rule about one record: stored rows and those in quarantine.

        Second come the rules that the warehouse cannot look at, with its reason, by id.
        """
        rules, refused = self._sound_rules()
        found: dict[str, dict[str, Any]] = {}
        for file, rows, *counts in self._warehouse.rows(rules_query(self._contract, rules)):
            failed = {rule.id: int(count) for rule, count in zip(rules, counts, strict=True) if count}
            found[str(file)] = {"stored": int(rows), "failed_stored": failed}
        self._add_quarantined(found)
        return [FileRules(file, **values) for file, values in sorted(found.items())], refused

    def _sound_rules(self) -> tuple[list[Rule], dict[str, str]]:
        refused = {}
        for rule in self._contract.rules:
            try:
                self._warehouse.rows(f"{rules_query(self._contract, [rule])} LIMIT 0")
            except WarehouseRefused as error:
                refused[rule.id] = str(error)
        return [rule for rule in self._contract.rules if rule.id not in refused], refused

    def _add_quarantined(self, found: dict[str, dict[str, Any]]) -> None:
        named, law = {"dataset": self._contract.dataset}, self._contract.version
        for file, version, rows in self._warehouse.rows(QUARANTINED_ROWS, named):
            own = found.setdefault(str(file), {})
            place = "quarantined" if version == law else "by_others"
            own[place] = own.get(place, 0) + int(rows)
        for file, version, rule, rows in self._warehouse.rows(QUARANTINED_RULES, named):
            if version == law and rule:
                found[str(file)].setdefault("failed_quarantined", {})[str(rule)] = int(rows)


def kept_windows(
    warehouse: Warehouse, dataset: str, clock: str, owners: Sequence[str], since: int = 0
) -> Iterator[Kept]:
    """Yield what closed windows of a clock left, oldest first, with the state of these owners (rules, fields)."""
    given = {"owners": list(owners), "dataset": dataset, "clock": clock, "since": since}
    rest = b""
    for chunk in warehouse.stream(STORED_STATE, "JSONEachRow", given):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (kept_of(json.loads(line), owners) for line in lines if line)


def _verdict(rule: CheckRule, state: WindowState, start: int, end: int, known: Known, basis: Basis) -> Given:
    evaluated = evaluate([rule], state, start, end, known)
    return Given(evaluated.judged[0], evaluated.demands[rule.id], basis)


def _nothing(rule: CheckRule, why: str, rows: int) -> Given:
    evaluated = evaluate([rule], WindowState(), 0, 0, Known())
    return Given(Judged(rule, not_checked(why, rows)), evaluated.demands[rule.id], Basis.NOTHING)
