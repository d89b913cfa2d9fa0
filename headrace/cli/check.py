"""headrace check: what a contract says of the rows that are stored, whether it is in force or only being written."""

import json
import statistics
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from headrace.cli.contract import in_force
from headrace.core.identity import check_dataset_name
from headrace.core.vocabulary import Severity
from headrace.errors import HeadraceError, WrongUse
from headrace.runtime.reach import require_services
from headrace.runtime.report.collect import moment_of, said
from headrace.schemas.check_rules import Unit
from headrace.schemas.contract import Contract
from headrace.schemas.contract_store import ContractStore, read_contract
from headrace.schemas.durations import parse_duration, spoken_duration
from headrace.schemas.record import RecordSchema
from headrace.schemas.registry import Registry
from headrace.settings import Settings
from headrace.stream_processors.checks.base import Outcome
from headrace.stream_processors.longer_verdicts import check_length, longer_judgements, owners_needed
from headrace.stream_processors.refused_rows import Source, all_rows, stored_alone
from headrace.stream_processors.steps.score import score, trend
from headrace.stream_processors.steps.stored_sql import MOST_SPANS, Span
from headrace.stream_processors.steps.window_record import spoken, verdict_record
from headrace.stream_processors.warehouse_verdicts import FileRules, Given, Judgement, WarehouseVerdicts, kept_windows
from headrace.transport.warehouse import Warehouse

_MICROS, _DAY = 1_000_000, 86_400
_MARKS = {Outcome.FAIL: ("FAIL", "red"), Outcome.PASS: ("pass", "green"), Outcome.NOT_CHECKED: ("-", None)}
_UNITS = {Unit.PERCENT: " %", Unit.ROWS: " rows", Unit.SECONDS: " s", Unit.VALUE: ""}


@click.command()
@click.argument("dataset")
@click.option(
    "--contract", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another contract."
)
@click.option(
    "--clock", type=click.Choice([one.value for one in Span]), help="Windows by event or arrival time, or files."
)
@click.option(
    "--since", default="", help="Only windows from then on, e.g. 2013-02-08; by files, those that came since."
)
@click.option("--every", default="", help="Longer windows, e.g. P1D, from the states of closed ones: no row is read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def check(dataset: str, *, file: Path | None, clock: str | None, since: str, every: str, as_json: bool) -> None:
    """Evaluate the contract of DATASET over its judged rows; exit 1 if a demand of severity critical is not met.

    With --contract FILE it tells what a contract would say of the data there is, before it is law: to try bounds.
    Checks of many records speak of stored rows and of those that the judge refused, as the windows of the stream do.
    """
    law, _ = in_force(check_dataset_name(dataset))
    contract = read_contract(file) if file else law
    if contract.dataset != dataset:
        message = f'{file} is a contract for "{contract.dataset}", not for "{dataset}"'
        raise WrongUse(message, hint=f"headrace check {contract.dataset} --contract {file}")
    span = Span(clock) if clock else Span.EVENT if contract.window.time_field else Span.ARRIVAL
    start = moment_of(since, "--since") // _MICROS if since else 0
    size_secs = _length_of(every, contract, span) if every else 0
    settings = Settings()
    require_services(settings, "warehouse")
    with Warehouse(settings, person=True, session=True) as warehouse, _versions(settings, law) as versions:
        look = partial(_longer, size_secs=size_secs) if size_secs else _from_rows
        looked = look(warehouse, contract, versions, span, start)
    if size_secs:
        # Rules about one record have no state: of those nothing is said here.
        contract = replace(contract, rules=())
    # A contract that is being written cannot show what the one in force hides.
    masked = {field.name for field in (*law.fields, *contract.fields) if field.personal}
    if as_json:
        click.echo(json.dumps(_document(contract, span, looked, masked), ensure_ascii=False, indent=2))
    else:
        for line in _lines(contract, span, looked, masked):
            click.echo(line)
    if breaches(contract, looked.judgements, looked.files):
        raise SystemExit(1)


def _length_of(every: str, contract: Contract, span: Span) -> int:
    """Return the length of the windows that --every asks for, in seconds."""
    size_secs = parse_duration(every)
    if size_secs is None:
        raise WrongUse(f'--every "{every}" is no length of time', hint="write e.g. PT6H, P1D or P7D")
    if span is Span.FILE:
        raise WrongUse("--every is about windows, not files", hint="--clock event or --clock arrival")
    check_length(contract, size_secs)
    return size_secs


@dataclass(frozen=True)
class Looked:
    """What was found: verdicts on windows or files, rules about one record by file, and why some have no answer.

    `unreadable` are the rows that readers put aside: no contract has judged them.
    """

    judgements: list[Judgement]
    source: Source
    files: list[FileRules] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0


def _from_rows(warehouse: Warehouse, contract: Contract, versions: "_Versions", span: Span, start: int) -> Looked:
    source = all_rows(warehouse, contract.dataset, versions.schema)
    stored = WarehouseVerdicts(warehouse, contract, versions, time.time(), source)
    judgements = stored.judgements(span, start)
    files, unseen = stored.files()
    return Looked(judgements, source, files, unseen, sum(stored.unreadable.values()))


def _longer(
    warehouse: Warehouse, contract: Contract, versions: "_Versions", span: Span, start: int, *, size_secs: int
) -> Looked:
    kept = list(kept_windows(warehouse, contract.dataset, span.value, owners_needed(contract.checks)))
    found = longer_judgements(contract, versions, span.value, kept, size_secs)
    return Looked([one for one in found if one.start >= start], stored_alone(contract.dataset))


class _Versions:
    """Contracts as they were law. One that cannot be had now is unknown: then figures kept by it are not used."""

    def __init__(self, law: Contract, store: ContractStore, registry: Registry) -> None:
        self._law, self._store, self._registry = law, store, registry

    def schema(self, schema_id: int) -> RecordSchema | None:
        """Return the schema of a refused row; without it the row is left out, and counted so."""
        try:
            return self._registry.record_schema(schema_id)
        except HeadraceError as error:
            click.echo(f"headrace: schema {schema_id} is not known here: {error}", err=True)
            return None

    def __call__(self, version: str) -> Contract | None:
        if version == self._law.version:
            return self._law
        try:
            return self._store.by_version(self._law.dataset, version)
        except HeadraceError as error:
            click.echo(f"headrace: contract {version} is not known here: {error}", err=True)
            return None


@contextmanager
def _versions(settings: Settings, law: Contract) -> Iterator[_Versions]:
    with closing(Registry(settings)) as registry:
        store = ContractStore(settings, settings.kafka_client(), registry)
        with closing(store):
            yield _Versions(law, store, registry)


def breaches(contract: Contract, judgements: Sequence[Judgement], files: Sequence[FileRules]) -> list[str]:
    """Return the ids of critical demands that the stored rows do not meet."""
    given = [one.judged for window in judgements for one in window.verdicts]
    failed = {
        one.rule.id for one in given if one.rule.severity is Severity.CRITICAL and one.verdict.outcome is Outcome.FAIL
    }
    critical = {rule.id for rule in contract.rules if rule.rejects}
    return sorted(failed | {rule for one in files for rule in one.failed_stored if rule in critical})


def _document(contract: Contract, span: Span, looked: Looked, masked: Collection[str]) -> dict[str, Any]:
    standings = _standings(contract, looked.judgements)
    return {
        "dataset": contract.dataset,
        "contract_version": contract.version,
        "clock": span.value,
        "failed_critical": breaches(contract, looked.judgements, looked.files),
        "refused_rows": looked.source.refused,
        "refused_rows_left_out": looked.source.left_out,
        "unreadable_rows": looked.unreadable,
        "windows": [
            {"start": one.start, "end": one.end, "file": one.file, "rows": one.rows}
            | standing
            | {"verdicts": [_verdict_json(given, masked) for given in one.verdicts]}
            for one, standing in zip(looked.judgements, standings, strict=True)
        ],
        "files": [vars(one) | {"failed": one.failed} for one in looked.files],
        "rules_not_checked": looked.unseen,
    }


def _verdict_json(given: Given, masked: Collection[str]) -> dict[str, Any]:
    return verdict_record(given.judged, given.demand, masked) | {"basis": given.basis, "differs": given.differs}


def _lines(contract: Contract, span: Span, looked: Looked, masked: Collection[str]) -> Iterator[str]:
    judgements, files = looked.judgements, looked.files
    size_secs = judgements[0].end - judgements[0].start if judgements else contract.window.size_secs
    what = "file" if span is Span.FILE else f"window of {spoken_duration(size_secs)} by {span} time"
    if len(judgements) != 1:
        what = what.replace("file", "files", 1) if span is Span.FILE else what.replace("window", "windows", 1)
    rows = sum(one.rows for one in judgements)
    counted = f"{len(judgements):,} {what}, {rows:,} rows{_refused(looked.source)}"
    yield f"{contract.dataset}, contract {contract.version}: {counted}"
    if judgements:
        yield f"  {'newest' if len(judgements) > 1 else 'it has'}: {said(_standings(contract, judgements)[-1])}"
    if len(judgements) == MOST_SPANS:
        yield f"  only the newest {MOST_SPANS:,} were looked at"
    if looked.unreadable:
        yield f"  {_unreadable(contract, looked.unreadable)}"
    for place, rule in enumerate(contract.checks):
        found = [(one, one.verdicts[place]) for one in judgements]
        if found:
            yield from _check_lines(rule.severity, found, masked)
    for demand in contract.rules:
        yield _rule_line(demand.id, demand.severity, files, looked.unseen.get(demand.id, ""))
    held, others = sum(one.quarantined for one in files), sum(one.by_others for one in files)
    if held + others:
        told = f", {others:,} of them by another version, of which these rules say nothing" if others else ""
        yield f"refused by rules about one record: {held + others:,} rows{told}"
    differing = {given.differs: given.judged.rule.id for one in judgements for given in one.verdicts if given.differs}
    for why in sorted(differing):
        rules = {given.judged.rule.id for one in judgements for given in one.verdicts if given.differs == why}
        yield f"may differ from the stream's windows: {', '.join(sorted(rules))}: {why}"


def _refused(source: Source) -> str:
    """Return how many of the rows are in quarantine, and how many there are in no figure."""
    told = f", {source.refused:,} of them in quarantine" if source.refused else ""
    left = f"; {source.left_out:,} rows in quarantine are in no figure: too many, too large, or unknown schemas"
    return told + (left if source.left_out else "")


def _unreadable(contract: Contract, rows: int) -> str:
    told = f"beside them {rows:,} rows that no reader could read:"
    if any(rule.check == "parse_errors" for rule in contract.checks):
        return f"{told} the check parse_errors alone speaks of them"
    return f"{told} they are in no window and in no score; the check parse_errors sets a bound for them"


def _check_lines(
    severity: Severity, found: Sequence[tuple[Judgement, Given]], masked: Collection[str]
) -> Iterator[str]:
    by_outcome = {kind: [pair for pair in found if pair[1].judged.verdict.outcome is kind] for kind in Outcome}
    outcome = next(kind for kind in (Outcome.FAIL, Outcome.PASS, Outcome.NOT_CHECKED) if by_outcome[kind])
    mark, colour = _MARKS[outcome]
    rule = found[0][1].judged.rule
    yield f"{click.style(f'{mark:<5}', fg=colour)} {rule.id} [{severity}]: {found[0][1].demand}"
    failed, unchecked = by_outcome[Outcome.FAIL], by_outcome[Outcome.NOT_CHECKED]
    seen = [v.observed for _, one in found if (v := one.judged.verdict).observed is not None]
    told = [f"fails in {len(failed):,} of {len(found):,}"] if failed else []
    if len(found) == 1 and not failed and not unchecked:
        told.append(spoken(found[0][1].judged, masked))
    elif len(seen) > 1 and not set(rule.fields) & set(masked):
        unit = _UNITS[rule.unit]
        told.append(
            f"seen {min(seen):.4g} to {max(seen):.4g}{unit}, half of the time up to {statistics.median(seen):.4g}"
        )
    if failed:
        window, given = max(failed, key=lambda pair: pair[1].judged.loss)
        told.append(f"worst {_name(window)}: {spoken(given.judged, masked)}")
    if unchecked:
        window, given = unchecked[-1]
        told.append(f"not checked in {len(unchecked):,}: {spoken(given.judged, masked)}")
    if told:
        yield f"      {'; '.join(told)}"


def _standings(contract: Contract, judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """Return of each window what it is worth, and by how much more than the windows before it."""
    names = [one.name for one in contract.fields]
    critical = [one.name for one in contract.fields if one.critical]
    scores: list[float] = []
    found = []
    for one in judgements:
        judged = [given.judged for given in one.verdicts]
        worth = score(judged, names, critical)
        scores += [] if worth.total is None else [worth.total]
        checked = {name for g in judged if g.verdict.outcome is not Outcome.NOT_CHECKED for name in g.rule.fields}
        found.append(
            {"score": worth.total, "trend": trend(scores) if scores and worth.total is not None else None}
            | {"dimensions": dict(worth.dimensions), "worst_field": worth.worst_field, "worst_score": worth.worst_score}
            | {"fields_checked": [name for name in names if name in checked]}
            | {"fields_not_checked": [name for name in names if name not in checked]}
        )
    return found


def _name(one: Judgement) -> str:
    if one.file:
        return one.file
    moment = datetime.fromtimestamp(one.start, UTC)
    return f"{moment:%Y-%m-%d}" if (one.end - one.start) % _DAY == 0 else f"{moment:%Y-%m-%d %H:%M:%S}"


def _rule_line(rule: str, severity: Severity, files: Sequence[FileRules], unseen: str) -> str:
    if unseen:
        return f"-     {rule} [{severity}]: not checked: {unseen}"
    stored = sum(one.failed_stored.get(rule, 0) for one in files)
    held = sum(one.failed_quarantined.get(rule, 0) for one in files)
    mark, colour = _MARKS[Outcome.FAIL if stored else Outcome.PASS]
    rows = sum(one.stored for one in files)
    return (
        f"{click.style(f'{mark:<5}', fg=colour)} {rule} [{severity}]: {stored:,} of {rows:,} stored rows break it"
        + (f", and {held:,} in quarantine" if held else "")
    )
