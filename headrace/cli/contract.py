"""headrace contract: draft a contract from a file, look whether one can be followed, compare two, show one."""

import dataclasses
import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from headrace.cli import WholeHelp
from headrace.core.identity import check_dataset_name
from headrace.errors import ContractInvalid, ServiceUnreachable, WrongUse
from headrace.producers.readers.base import HEAD_BYTES
from headrace.producers.readers.registry import reader_for
from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_diff import Change, compare, spoken_check
from headrace.schemas.contract_store import contract_path, read_contract, shipped_contract
from headrace.schemas.draft import property_line
from headrace.schemas.durations import spoken_duration
from headrace.schemas.infer import draft_contract
from headrace.schemas.names import safe_names
from headrace.schemas.problems import ContractProblems
from headrace.schemas.record import RecordField, RecordSchema
from headrace.schemas.registry import Registry
from headrace.schemas.topics import RAW, data_topic, value_subject
from headrace.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=WholeHelp)
def contract() -> None:
    """Contracts: what the records of a dataset must be, one ODCS v3.1 document each."""


@contract.command()
@click.argument("file", type=_FILE)
@click.option("--dataset", help="Name of the dataset; else made from the file's name.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it; else it is printed."
)
def infer(file: Path, dataset: str | None, output: Path | None) -> None:
    """Draft a contract from FILE: the narrowest types that change no value, checks that inform, no rules."""
    name = check_dataset_name(dataset or safe_names([file.name.split(".")[0]])[0])
    with file.open("rb") as stream:
        reader = reader_for(file.name, stream.read(HEAD_BYTES))
        stream.seek(0)
        layout = reader.open(stream)
        found = draft_contract(name, reader.sample(stream, layout))
    if output is None:
        click.echo(found.text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as target:
            target.write(found.text)
    except FileExistsError as error:
        message = f'file "{output}" is there already'
        raise WrongUse(message, hint="remove it, or give --output another name") from error
    click.echo(f"{output}: {len(found.fields)} fields; next: edit it, then headrace contract lint {output}")


@contract.command()
@click.argument("files", type=_FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
def lint(files: tuple[Path, ...], as_json: bool) -> None:
    """Say whether each contract in FILES can be followed, what is checked and what not; exit 1 if one cannot."""
    sound = True
    for file in files:
        problems: tuple[str, ...] = ()
        found = None
        try:
            found = read_contract(file)
        except ContractProblems as error:
            problems = error.problems
        sound = sound and not problems
        if as_json:
            click.echo(json.dumps({"file": str(file), "problems": problems} | (_summary(found) if found else {})))
        elif found is None:
            click.echo(f"{file}: cannot be followed")
            for problem in problems:
                click.echo(f"  {problem}")
        else:
            counts = f"{len(found.fields)} fields, {len(found.rules)} rules, {len(found.checks)} checks"
            click.echo(f"{file}: sound, dataset {found.dataset}, {counts}")
            click.echo(f"  {_spoken_window(found.window)}")
            for line in (*_check_lines(found), *(f"not checked: {promise}" for promise in found.unchecked)):
                click.echo(f"  {line}")
    if not sound:
        raise SystemExit(1)


@contract.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a change.")
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Tell what NEW changes against OLD; exit 1 if a change breaks those who read the data."""
    changes = compare(read_contract(old), read_contract(new))
    for change in changes:
        click.echo(json.dumps(_change(change)) if as_json else f"{'BREAKS ' if change.breaking else ''}{change.text}")
    if not changes and not as_json:
        click.echo("the contracts say the same")
    if any(change.breaking for change in changes):
        raise SystemExit(1)


@contract.command()
@click.argument("dataset")
@click.option("--yaml", "as_yaml", is_flag=True, help="The document as it is.")
@click.option("--json", "as_json", is_flag=True, help="Fields and rules as one JSON object.")
def show(dataset: str, as_yaml: bool, as_json: bool) -> None:
    """Show the contract that is in force for DATASET: the home's, else the one that comes with headrace."""
    found, place = in_force(check_dataset_name(dataset))
    if as_yaml:
        click.echo(found.text, nl=False)
        return
    unknown = _unknown_columns(Settings(), found)
    if as_json:
        names = None if unknown is None else [field.name for field in unknown]
        click.echo(json.dumps(_summary(found) | {"new_columns": names}))
        return
    for line in (*_lines(found, place), *_new_column_lines(found, unknown)):
        click.echo(line)


def in_force(dataset: str) -> tuple[Contract, str]:
    """Return the contract that is in force for a dataset, and where it is; raises ContractInvalid if there is none."""
    path = contract_path(Settings().paths(), dataset)
    if path.exists():
        return read_contract(path), str(path)
    text = shipped_contract(dataset)
    if text is None:
        message = f'dataset "{dataset}" has no contract'
        raise ContractInvalid(message, hint=f"headrace contract infer FILE --dataset {dataset}, or drop a file")
    return parse_contract(text, dataset), "comes with headrace"


def _lines(found: Contract, place: str) -> list[str]:
    lines = [
        f"{found.dataset} {found.version}{' (draft)' if found.drafted else ''}, {place}",
        f"owner {found.owner or 'nobody'}, tolerance {found.tolerance:g}, partitions {found.partitions}",
        "fields",
    ]
    lines.insert(2, _spoken_window(found.window))
    width = max(len(field.name) for field in found.fields)
    for field in found.fields:
        source = f'  from "{field.source_name}"' if field.source_name != field.name else ""
        lines.append(f"  {field.name:{width}}  {field.type.type:16}{source}  {field.description}".rstrip())
    if known := [field.name for field in found.fields if field.known_at_prediction]:
        lines.append(f"known at prediction: {', '.join(known)}")
    lines.append("rules" if found.rules else "rules: none")
    for rule in found.rules:
        parameters = ", ".join(f"{name} {value}" for name, value in rule.parameters.items())
        level = "" if rule.rejects else f" [{rule.severity}]"
        lines.append(f"  {rule.id}: {rule.code}{level} {parameters}".rstrip())
    lines += ["checks" if found.checks else "checks: none", *(f"  {line}" for line in _check_lines(found))]
    return [*lines, *(f"not checked: {promise}" for promise in found.unchecked)]


def _unknown_columns(settings: Settings, found: Contract) -> tuple[RecordField, ...] | None:
    """Return the fields that files brought and the contract does not name, None while no registry can be asked."""
    if not settings.registry_url and not settings.paths().stack_file.exists():
        return None
    with closing(Registry(settings)) as registry:
        try:
            latest = registry.latest(value_subject(data_topic(found.dataset, RAW)))
        except ServiceUnreachable:
            return None
    names = {field.name for field in found.fields}
    fields = RecordSchema.from_avro(latest[1]).data_fields if latest else ()
    return tuple(field for field in fields if field.name not in names)


def _new_column_lines(found: Contract, unknown: tuple[RecordField, ...] | None) -> list[str]:
    if unknown is None:
        return ["new columns: not known while the line is down"]
    if not unknown:
        return []
    file = contract_path(Settings().paths(), found.dataset)
    return [
        "new columns, taken in from files without rules; to make one law, put its line under the properties in",
        f"{file}, raise the version, then: headrace contract lint {shlex.quote(str(file))}",
        *(f"  {property_line(field)}" for field in unknown),
    ]


def _check_lines(found: Contract) -> list[str]:
    return [f"{check.id}: {spoken_check(check)}" for check in found.checks]


def _spoken_window(window: WindowSpec) -> str:
    late = f", waiting {spoken_duration(window.lateness_secs)} for late records" if window.lateness_secs else ""
    by = f"{window.time_field}{late}" if window.time_field else "arrival: no field holds the time of the event"
    return f"windows of {spoken_duration(window.size_secs)} by {by}"


def _summary(found: Contract) -> dict[str, Any]:
    return {
        "dataset": found.dataset,
        "version": found.version,
        "drafted": found.drafted,
        "owner": found.owner,
        "tolerance": found.tolerance,
        "partitions": found.partitions,
        "fields": [
            {"name": field.name, "source_name": field.source_name, "type": field.type.type, "required": field.required}
            | {"known_at_prediction": field.known_at_prediction}
            for field in found.fields
        ],
        "rules": [
            {"id": rule.id, "code": rule.code, "severity": rule.severity, "fields": rule.fields}
            | {"parameters": {name: _plain(value) for name, value in rule.parameters.items()}}
            for rule in found.rules
        ],
        "checks": [_check_summary(check) for check in found.checks],
        "window": dataclasses.asdict(found.window),
        "not_checked": found.unchecked,
    }


def _check_summary(check: CheckRule) -> dict[str, Any]:
    return {
        "id": check.id,
        "check": check.check,
        "fields": check.fields,
        "sentence": check_named(check.check).sentence(check),
        "parameters": {name: _plain(value) for name, value in check.parameters.items()},
        "bounds": None if check.bounds is None else check.bounds.spoken(check.unit),
        "unit": check.unit,
        "severity": check.severity,
        "dimension": check.dimension,
        "weight": check.weight,
        "description": check.description,
        "fix_hint": check.fix_hint,
        "business_impact": check.business_impact,
    }


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, (int, float, str, bool)) else str(value)


def _change(change: Change) -> dict[str, object]:
    return {"kind": change.kind, "name": change.name, "breaking": change.breaking, "text": change.text}
