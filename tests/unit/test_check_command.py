"""headrace check: what it prints of verdicts, what it hides, and when it fails."""

from dataclasses import replace

import click

from headrace.cli.check import Looked, _document, _lines, breaches
from headrace.core.vocabulary import Severity
from headrace.schemas.check_rules import Bounds, CheckRule, Unit
from headrace.schemas.rules import Required, Rule
from headrace.stream_processors.checks.base import Outcome, Verdict, not_checked
from headrace.stream_processors.refused_rows import Source
from headrace.stream_processors.steps.score import Judged
from headrace.stream_processors.steps.stored_sql import Span
from headrace.stream_processors.warehouse_verdicts import Basis, FileRules, Given, Judgement
from headrace.testing.real_rows import real_records

DAY = 86_400
CHECK = CheckRule("gone", "null_rate", ("tailnum",), {}, Bounds(upper=2.0), Unit.PERCENT, severity=Severity.CRITICAL)
RULE = Rule("there", ("tailnum",), Required())
CONTRACT = replace(real_records("airlines")[0], checks=(CHECK,), rules=(RULE,))


def window(day: int, share: float | None, severity: Severity = Severity.CRITICAL) -> Judgement:
    rule = replace(CHECK, severity=severity)
    outcome = Outcome.FAIL if (share or 0) > 2 else Outcome.PASS
    verdict = Verdict(outcome, share, bounds=CHECK.bounds, rows=100, detail=f"N123 {share}")
    found = not_checked("no rows") if share is None else verdict
    return Judgement(day * DAY, day * DAY + DAY, "", 100, (Given(Judged(rule, found), "at most 2 %", Basis.ROWS),))


def lines(
    judgements: list[Judgement],
    files: list[FileRules],
    masked: frozenset[str] = frozenset(),
    *,
    refused: int = 0,
    unreadable: int = 0,
) -> str:
    looked = Looked(judgements, Source("", refused), files, unreadable=unreadable)
    return click.unstyle("\n".join(_lines(CONTRACT, Span.EVENT, looked, masked)))


def test_a_check_is_told_once_with_how_often_it_fails_and_its_worst_window() -> None:
    told = lines([window(0, 1.0), window(1, 9.0), window(2, 4.0), window(3, None)], [])
    assert "FAIL  gone [critical]: at most 2 %" in told
    assert "fails in 2 of 4; seen 1 to 9 %, half of the time up to 4; worst 1970-01-02: N123 9.0" in told
    assert "not checked in 1: no rows" in told


def test_values_of_a_personal_field_are_not_shown() -> None:
    judgements, masked = [window(0, 1.0), window(1, 9.0)], frozenset({"tailnum"})
    document = _document(CONTRACT, Span.EVENT, Looked(judgements, Source("")), masked)
    assert "N123" not in lines(judgements, [], masked) + str(document)


def test_only_a_critical_demand_that_stored_rows_do_not_meet_is_a_breach() -> None:
    assert breaches(CONTRACT, [window(0, 9.0, Severity.WARNING)], []) == []
    assert breaches(CONTRACT, [window(0, 9.0)], []) == ["gone"]
    assert breaches(CONTRACT, [], [FileRules("f", 9, 1, failed_quarantined={"there": 1})]) == []
    assert breaches(CONTRACT, [], [FileRules("f", 9, failed_stored={"there": 2})]) == ["there"]
    warns = replace(CONTRACT, rules=(replace(RULE, severity=Severity.WARNING),))
    assert breaches(warns, [], [FileRules("f", 9, failed_stored={"there": 2})]) == []


def test_rows_in_quarantine_are_told_apart_from_stored_ones() -> None:
    told = lines([], [FileRules("f", 9, 3, 2, {}, {"there": 3}), FileRules("g", 1)])
    assert "there [critical]: 0 of 10 stored rows break it, and 3 in quarantine" in told
    assert "refused by rules about one record: 5 rows, 2 of them by another version" in told


def test_refused_rows_are_named_among_the_rows_that_checks_of_many_records_speak_of() -> None:
    assert "1 window of P1D by event time, 100 rows, 4 of them in quarantine" in lines([window(0, 1.0)], [], refused=4)


def test_rows_that_nobody_could_read_are_told_beside_a_score_that_knows_nothing_of_them() -> None:
    told = lines([window(0, 1.0)], [], unreadable=20)
    assert "beside them 20 rows that no reader could read: they are in no window and in no score; the check" in told
    assert "no reader" not in lines([window(0, 1.0)], [])


def test_the_check_of_unreadable_rows_is_said_to_speak_of_them_where_the_contract_has_it() -> None:
    asked = replace(CONTRACT, checks=(replace(CHECK, id="read", check="parse_errors", fields=()),))
    told = "\n".join(_lines(asked, Span.EVENT, Looked([], Source(""), unreadable=20), frozenset()))
    assert "beside them 20 rows that no reader could read: the check parse_errors alone speaks of them" in told
