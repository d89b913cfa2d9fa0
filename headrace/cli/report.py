"""headrace report, profile, advice: what is known of a dataset's quality, for people."""

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from headrace.cli.advice_decisions import decide
from headrace.cli.alerts import person
from headrace.cli.pages import write_page
from headrace.core.files import printable
from headrace.core.identity import check_dataset_name
from headrace.errors import WrongUse
from headrace.runtime.quality_store import CLOCKS, QualityStore, law_of_values, no_windows
from headrace.runtime.reach import require_services
from headrace.runtime.report.collect import collect, collect_all, kinds_of, mask_of, moment_of, said, standing
from headrace.runtime.report.details import SEEN, distinct
from headrace.runtime.report.markup import gain, moment, number, of_field, percent
from headrace.runtime.report.masking import Mask
from headrace.runtime.report.overview import overview_page
from headrace.runtime.report.page import report_page
from headrace.schemas.durations import parse_duration
from headrace.settings import Settings
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.advice_life import DECISIONS
from headrace.stream_processors.steps.roll_up import roll_up
from headrace.transport.warehouse import Warehouse

_MICROS = 1_000_000
_SHOWN_TOP, _SHOWN_TEXT = 5, 24
_CLOCK = click.option(
    "--clock", type=click.Choice(CLOCKS), help="Windows by event or by arrival time; event if it has such."
)
_QUANTILES = ("0.05", "0.25", "0.5", "0.75", "0.95")


@click.command()
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
@click.option("--window", "start", default="", help="The window that begins then, e.g. 2013-02-08 or 2013-02-08T05:00.")
@click.option(
    "--last", "last", default="", help="All windows of the last P1D, P7D, ... together, by merging their states."
)
@_CLOCK
def profile(dataset: str, *, as_json: bool, start: str, last: str, clock: str | None) -> None:
    """Print the profile of each field of DATASET: of its newest closed window, of another, or of several together.

    Values of personal fields are not shown.
    """
    if start and last:
        raise WrongUse("--window names one window, --last several", hint="give one of them")
    with _store() as (settings, store):
        found, title = _profiled(store, check_dataset_name(dataset), clock, start, last, settings)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2, default=str))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=180)
    console.print(Text(title, style="bold"))
    console.print(Text(("newest window: " if last else "") + said(found)))
    console.print(profile_table(found["fields"]))
    for one in found["fields"]:
        seen = [
            f"{told} {moment(one[f'first_{clock}'])} to {moment(one[f'last_{clock}'])}"
            for clock, told in SEEN
            if one.get(f"first_{clock}") is not None
        ]
        if seen:
            console.print(Text(f"{one['name']} first and last seen: {'; '.join(seen)}"))
        for name, figure in (("top", "top"), ("shapes", "shapes")):
            least = "" if figure != "top" or Top.exact(one["distinct"]) else "at least "
            values = ", ".join(
                f"{printable(v['value'])[:_SHOWN_TEXT]} {least}{v['count']:,}" for v in one[figure][:_SHOWN_TOP]
            )
            if values:
                console.print(Text(f"{one['name']} {name}: {values}"))


def _profiled(
    store: QualityStore, dataset: str, clock: str | None, start: str, last: str, settings: Settings
) -> tuple[dict[str, Any], str]:
    chosen = clock or store.clock_of(dataset)
    whole = store.newest(dataset, chosen)
    if start:
        whole = store.window(dataset, chosen, moment_of(start, "--window"))
    if whole is None:
        raise (
            no_windows(dataset, chosen, settings.paths())
            if not start
            else WrongUse(
                f'no closed window of "{dataset}" begins at {start} ({chosen} time)',
                hint="give the first moment of one; without --window the newest is taken",
            )
        )
    contract = law_of_values(settings, dataset, whole["contract_version"])
    mask = mask_of(contract)
    head = {
        "dataset": dataset,
        "clock": chosen,
        "windows": 1,
        "start": whole["start"],
        "end": whole["end"],
        "rows": whole["rows"],
    }
    fields = whole["fields"]
    if last:
        since = max(0, whole["end"] - _seconds(last, "--last") * _MICROS)
        rolled = roll_up(store.cells(dataset, chosen, since), mask.fields)
        windows = store.windows(dataset, chosen, since)
        fields = rolled.fields
        head |= {"windows": rolled.windows, "start": windows[0]["start"], "rows": sum(one["rows"] for one in windows)}
        head |= {"not_merged": rolled.unmerged}
    width = int(whole["end"] - whole["start"]) // _MICROS
    span = f"{head['windows']} window(s) from {moment(head['start'], width)} to {moment(head['end'], width)}"
    title = f"{dataset}, {chosen} time, {span}: {head['rows']:,} rows"
    head |= standing(store, whole, contract)
    kinds = kinds_of(contract)
    return head | {"fields": [mask.profile(one) | {"type": kinds.get(one["name"], "")} for one in fields]}, title


def profile_table(fields: list[dict[str, Any]]) -> Table:
    """Return profiles as a table, a field a line."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("field", overflow="fold")
    for name in (
        "rows",
        "missing",
        "distinct",
        "mean",
        "std",
        "min",
        *(f"p{round(float(q) * 100)}" for q in _QUANTILES),
        "max",
        "length",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for one in fields:
        rows, nulls = one["rows"], one["nulls"]
        length = "" if one["length_minimum"] is None else f"{one['length_minimum']}-{one['length_maximum']}"
        table.add_row(
            one["name"] + (" (hidden)" if one.get("masked") else ""),
            f"{rows:,}",
            percent(nulls / rows) if rows else "-",
            "-" if one["distinct"] is None else distinct(one),
            *(number(one[name]) for name in ("mean", "std")),
            *(
                of_field(value, one["type"])
                for value in (one["minimum"], *map(one["quantiles"].get, _QUANTILES), one["maximum"])
            ),
            length,
        )
    return table


@click.command()
@click.argument("dataset", required=False)
@click.option("--all", "every", is_flag=True, help="One page for all datasets, as without DATASET.")
@click.option(
    "--html", "target", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@click.option(
    "--since", default="", help="Windows from then on: a time, or P7D before the newest. Else the newest 400."
)
@_CLOCK
def report(dataset: str | None, *, every: bool, target: Path, since: str, clock: str | None) -> None:
    """Write a page about the quality of DATASET, or of all datasets, for people who do not work with the data.

    One file, no script, nothing fetched, under 1 MB.
    """
    if dataset and every:
        raise WrongUse(f'--all is for all datasets, and "{dataset}" is one of them', hint="leave one of them out")
    with _store() as (settings, store):
        if dataset:
            data = collect(store, settings, check_dataset_name(dataset), clock, since)
            page, told = report_page(data), f"{len(data.windows)} windows of {dataset}"
        else:
            found, without = collect_all(store, settings, clock, since)
            page = overview_page(found, without, time.time_ns() // 1000)
            told = f"{len(found)} datasets" + (f", {len(without)} more without a closed window" if without else "")
    content = page.encode()
    write_page(target, content)
    click.echo(f"{target}: {told}, {len(content) / 1000:.0f} kB")


@click.command()
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
@click.option("--accept", default="", metavar="ID", help="Say that this advice will be followed.")
@click.option("--done", default="", metavar="ID", help="Say that it was followed; what it won is then measured.")
@click.option("--dismiss", default="", metavar="ID", help="Say that it will not be followed.")
@click.option("--why", default="", help="The reason of a decision.")
def advice(dataset: str, *, as_json: bool, accept: str, done: str, dismiss: str, why: str) -> None:
    """List what to change in collecting or processing DATASET, what would win most first, with its evidence.

    --accept, --done and --dismiss write down what you decide on one of them; the first digits of its id will do.
    """
    decisions = [(word, chosen) for word, chosen in zip(DECISIONS, (accept, done, dismiss), strict=True) if chosen]
    if len(decisions) > 1 or (why and not decisions):
        raise WrongUse("one decision at a time, with its reason", hint="give one of --accept, --done, --dismiss ID")
    if decisions:
        _decided(check_dataset_name(dataset), *decisions[0], why)
        return
    with _store() as (settings, store):
        found = store.advice(check_dataset_name(dataset))
        version = found[0]["contract_version"] if found else ""
        mask = mask_of(law_of_values(settings, dataset, version)) if found else Mask()
    shown = [mask.advice(one) for one in found]
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2, default=str))
        return
    for one in shown:
        click.echo(advice_text(one))
    if not shown:
        click.echo(f'no advice for dataset "{dataset}": no finding calls for any')


def _decided(dataset: str, decision: str, advice_id: str, why: str) -> None:
    settings = Settings()
    require_services(settings, "kafka", "registry")
    told = decide(settings, dataset, advice_id, decision, by=person(), why=why)
    click.echo(f"{told['advice_id']} of {dataset} is {told['state']}")


def advice_text(one: dict[str, Any]) -> str:
    """Return a piece of advice as lines for a person."""
    where = " ".join(filter(None, (one["field"], f"({one['segment']})" if one["segment"] else "")))
    lines = [f"{click.style(one['action'], bold=True)}  [{one['state']}]"]
    lines += [f"  where     {where}"] if where else []
    lines += [f"  evidence  {text}" for text in one["evidence"]]
    lines.append(f"  cause     {one['cause']}")
    owner = f"; owner {one['owner']}" if one["owner"] else ""
    lines.append(f"  rows      {one['rows_at_risk']:,} at risk; would win {gain(one['expected_gain'])}{owner}")
    lines.append(f"  confident {one['confidence']:.0%} that this is the cause")
    if one["measured"]:
        lines.append(f"  measured  {one['measured']}")
    if one["decided_by"]:
        lines.append(
            f"  decided   by {printable(one['decided_by'])}" + (f": {printable(one['why'])}" if one["why"] else "")
        )
    if one["query"]:
        lines.append(f"  query     headrace sql {shlex.quote(one['query'])}")
    lines.append(f"  id        {one['advice_id']}  ({one['symptom']})")
    return "\n".join(lines)


@contextmanager
def _store() -> Iterator[tuple[Settings, QualityStore]]:
    settings = Settings()
    require_services(settings, "warehouse")
    with Warehouse(settings, person=True) as warehouse:
        yield settings, QualityStore(warehouse)


def _seconds(text: str, option: str) -> int:
    seconds = parse_duration(text.upper())
    if not seconds:
        raise WrongUse(f'{option} "{text}" is no length of time', hint="write P1D, P7D or PT6H")
    return seconds
