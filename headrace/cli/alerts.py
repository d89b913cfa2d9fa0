"""headrace alerts: what is wrong with the data, from the topic quality.alerts; and whom not to tell of what."""

import fcntl
import getpass
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from headrace.cli import WholeHelp
from headrace.core.files import printable, write_atomically
from headrace.core.identity import check_dataset_name
from headrace.errors import ServiceUnreachable, WrongUse
from headrace.runtime.reach import require_services
from headrace.schemas.durations import UNIT_SECONDS, parse_duration
from headrace.schemas.registry import Registry
from headrace.schemas.silences import ALL, HINT, Silence, sound_silences, write_silences
from headrace.schemas.system import read_system, schema_id_of
from headrace.schemas.topics import ALERTS
from headrace.settings import Paths, Settings
from headrace.transport.follow import read_topic

_COLOURS = {"critical": "red", "warning": "yellow", "info": "blue"}
_UNITS = {"percent": " %", "rows": " rows", "seconds": " s"}
_MICROS = 1_000_000
_PAD = " " * 21
_SHOWN = 3


@click.group(cls=WholeHelp, invoke_without_command=True)
@click.option("--follow", is_flag=True, help="Go on printing alerts as they come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--dataset", default="", help="Only this dataset's alerts.")
@click.option("--open", "only_open", is_flag=True, help="Only the newest word on each alert that is not resolved.")
@click.pass_context
def alerts(context: click.Context, *, follow: bool, as_json: bool, dataset: str, only_open: bool) -> None:
    """Print the quality alerts, oldest first. An alert that came again is printed once, as it was last."""
    if context.invoked_subcommand:
        return
    if follow and only_open:
        raise WrongUse("--open looks at what there is, --follow at what comes", hint="give one of them")
    settings, count = Settings(), 0
    require_services(settings, "kafka", "registry")
    found = every_alert(settings, follow=follow)
    ordered = found if follow else iter(sorted(found, key=told_at))
    for alert in open_ones(ordered) if only_open else ordered:
        if dataset in {"", alert["dataset"]}:
            count += 1
            click.echo(json.dumps(alert, default=str) if as_json else sentence(alert))
    if not count and not as_json:
        click.echo(f"no {'open ' if only_open else ''}alerts" + (f' for dataset "{dataset}"' if dataset else ""))


@alerts.command()
@click.argument("rule")
@click.option("--dataset", required=True, help='The dataset, or "*" for all.')
@click.option("--until", "until", default="", help="Up to this time, e.g. 2026-12-01T08:00 (UTC unless it says more).")
@click.option("--for", "lasting", default="", help="For so long: 30m, 2h, 3d or PT2H.")
@click.option("--why", default="", help="The reason, for those who read the list.")
def silence(rule: str, dataset: str, until: str, lasting: str, why: str) -> None:
    """Ask not to be told of RULE ("*": of all) for a time.

    Its alerts are still published and kept, marked `silenced`; notifiers pass over them.
    """
    now = datetime.now(UTC)
    end = end_of(now, until, lasting)
    one = Silence(rule, dataset if dataset == ALL else check_dataset_name(dataset), _micros(end), person(), why)
    paths = Settings().paths()
    with _locked(paths):
        kept = [entry for entry in _entries(paths) if entry.until > _micros(now)]
        kept = [entry for entry in kept if (entry.rule, entry.dataset) != (one.rule, one.dataset)]
        write_atomically(paths.silences, write_silences([*kept, one]).encode())
    click.echo(f"{_about(one)} is silenced until {end:%Y-%m-%d %H:%M:%S} UTC; {paths.silences} holds the list")


@alerts.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
def silences(*, as_json: bool) -> None:
    """List what is silenced, until when, by whom and why."""
    now = _micros(datetime.now(UTC))
    found, problems = _sound_entries(Settings().paths())
    entries = sorted(found, key=lambda entry: entry.until)
    for problem in problems:
        click.echo(f"silences nothing: {printable(problem)}", err=True)
    if as_json:
        shown = [vars(entry) | {"until": _moment(entry.until).isoformat()} for entry in entries]
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    for entry in entries:
        past = "  (over)" if entry.until <= now else ""
        words = "".join(f"  {name} {printable(text)}" for name, text in (("by", entry.by), ("why:", entry.why)) if text)
        click.echo(f"{_about(entry)}  until {_moment(entry.until):%Y-%m-%d %H:%M:%S} UTC{past}{words}")
    if not entries:
        click.echo("nothing is silenced")


def end_of(now: datetime, until: str, lasting: str) -> datetime:
    """Return when a silence ends; raises WrongUse if that cannot be told or is past."""
    if bool(until) == bool(lasting):
        raise WrongUse("a silence has one end", hint="give --until TIME or --for 2h")
    if lasting:
        seconds = parse_duration(lasting.upper()) or _short(lasting)
        if not seconds or seconds > 10 * 365 * 86_400:
            raise WrongUse(
                f'--for "{lasting}" is no length of time', hint="write 30m, 2h, 3d or PT2H, at most ten years"
            )
        return now + timedelta(seconds=seconds)
    try:
        end = datetime.fromisoformat(until)
    except ValueError as error:
        raise WrongUse(f'--until "{until}" is no time', hint="write 2026-12-01T08:00 or 2026-12-01T08:00Z") from error
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    if end <= now:
        raise WrongUse(f'--until "{until}" is past', hint="give a time to come, or --for 2h")
    return end.astimezone(UTC)


def _short(text: str) -> int:
    digits = "".join(character for character in text if character.isascii() and character.isdigit())
    unit = UNIT_SECONDS.get(text[len(digits) :].strip(), 0)
    return int(digits) * unit if digits and text.startswith(digits) and len(digits) < 10 else 0


def _entries(paths: Paths) -> list[Silence]:
    found, problems = _sound_entries(paths)
    if problems:
        raise WrongUse(f"{paths.silences} cannot be followed: {'; '.join(problems)}", hint=HINT)
    return found


def _sound_entries(paths: Paths) -> tuple[list[Silence], list[str]]:
    try:
        return sound_silences(paths.silences.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], []
    except (ValueError, OSError) as error:
        return [], [str(error)]


@contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    """Let one command at a time change the list."""
    paths.run.mkdir(parents=True, exist_ok=True)
    with (paths.run / "silences.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _about(one: Silence) -> str:
    rule = "every rule" if one.rule == ALL else f'rule "{printable(one.rule)}"'
    return f"{rule} of {'every dataset' if one.dataset == ALL else printable(one.dataset)}"


def person() -> str:
    """Return who works here, for the record; "" if the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _MICROS, UTC)


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * _MICROS)


def every_alert(settings: Settings, *, follow: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the latest alert of each id; with `follow` never end, and yield an id again when it says something new."""
    latest: dict[str, dict[str, Any]] = {}
    for alert in published_alerts(settings, follow=follow):
        news = latest.get(alert["alert_id"]) != alert
        latest[alert["alert_id"]] = alert
        if follow and news:
            yield alert
    yield from latest.values()


def told_at(alert: dict[str, Any]) -> tuple[Any, Any]:
    """Return what alerts are ordered by: many windows may close at one moment, and the newest has the last word."""
    return alert["raised_at"], alert["window_start"] or alert["raised_at"]


def open_ones(ordered: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last word on each subject that is not resolved; older alerts, of files, have none and stay."""
    last: dict[str, dict[str, Any]] = {}
    for alert in ordered:
        last[alert["subject"] or alert["alert_id"]] = alert
    return [alert for alert in last.values() if alert["state"] != "resolved"]


def published_alerts(settings: Settings, *, follow: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every committed alert of the topic as any consumer gets it, repeats too; never ends with `follow`."""
    with closing(Registry(settings)) as registry:
        for message in read_topic(settings.kafka_client(), ALERTS, follow=follow):
            yield read_alert(registry, message.value)


def read_alert(registry: Registry, value: bytes) -> dict[str, Any]:
    """Return an alert as a dict, read with the schema it was written with."""
    text = registry.text_of(schema_id_of(value) or 0)
    if text is None:
        raise ServiceUnreachable(f"the registry does not know schema {schema_id_of(value)} of {ALERTS}")
    return read_system("alert", value, text)


def sentence(alert: dict[str, Any]) -> str:
    """Return an alert as lines for a person: what and in which state, where and how far, and what to do."""
    severity = click.style(f"{alert['severity']:<8}", fg=_COLOURS.get(alert["severity"]))
    state = alert["state"] + (", silenced" if alert["silenced"] else "")
    trail = ", ".join(f"{name} {alert[key]}" for name, key in (("trace", "trace_id"), ("owner", "owner")) if alert[key])
    lines = [f"{_when(alert['raised_at']):%Y-%m-%d %H:%M:%S}  {severity} {state}: {alert['message']}"]
    if measured := _measured(alert):
        lines.append(f"{_PAD}{measured}")
    lines += [f"{_PAD}{text}" for text in _places(alert)]
    lines.append(f"{_PAD}next: {alert['hint']}" + (f"  ({trail})" if trail else ""))
    return "\n".join(lines)


def _measured(alert: dict[str, Any]) -> str:
    """Return window, field, and what was seen beside what is allowed; "" of an alert of a file without figures."""
    parts = []
    if alert["window_start"] is not None and alert["window_end"] is not None:
        start, end = _when(alert["window_start"]), _when(alert["window_end"])
        parts.append(f"window {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({alert['clock']} time)")
    if alert["field"]:
        parts.append(f"field {alert['field']}")
    if alert["observed"] is not None and alert["unit"]:
        unit = _UNITS.get(alert["unit"], "")
        seen = f"seen {alert['observed']:.4g}{unit}" + (f" ± {alert['error']:.2g}" if alert["error"] else "")
        parts.append(seen + ("" if alert["bound"] is None else f", allowed {alert['bound']:.4g}{unit}"))
    return "; ".join(parts)


def _places(alert: dict[str, Any]) -> Iterator[str]:
    """Yield how many rows are at risk, where they are, rows to look at, and the advice."""
    file = printable(alert["file_name"] or alert["file"])
    if alert["rows_at_risk"]:
        yield f"rows at risk {alert['rows_at_risk']:,} of {alert['rows']:,}" + (f"; file {file}" if file else "")
    if alert["segments"]:
        shown = (
            f"{printable(one['name'])} ({one['share']:.0%} of them, {one['lift']:.1f} times its share)"
            for one in alert["segments"][:_SHOWN]
        )
        yield f"where {'; '.join(shown)}"
    if alert["samples"]:
        yield "look at " + ", ".join(f"{one['file']}:{one['row']}" for one in alert["samples"][:_SHOWN])
    if alert["advice_id"]:
        yield f"advice {alert['advice_id'][:12]}: headrace advice {alert['dataset']}"


def _when(moment: Any) -> datetime:
    return moment if isinstance(moment, datetime) else _moment(moment)
