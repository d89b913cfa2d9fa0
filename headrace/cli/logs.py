"""headrace logs: what the processes of a home have said, in one order, whether the line runs or not."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import click

from headrace.core.files import printable
from headrace.errors import WrongUse
from headrace.observability.log_files import Follower, Line, log_parts, merged_lines
from headrace.observability.log_lines import KEYS, SEVERITY_NUMBERS, LogJson, as_text
from headrace.schemas.durations import UNIT_SECONDS, parse_duration
from headrace.settings import Settings

_POLL_SECS = 0.25
_TRACE = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{48})?")

Wanted = Callable[[Line], bool]


class ShownLine(LogJson):
    """What --json prints of a line."""

    fields: Annotated[dict[str, Any], "What the event tells of itself: docs/guide/events.md."]


@click.command()
@click.option("--stage", default="", help="Only lines of this stage, service or process, e.g. sink.")
@click.option("--trace", "about", default="", metavar="FILE", help="Only a file's lines: name, _file id or trace id.")
@click.option(
    "--level", type=click.Choice([*SEVERITY_NUMBERS]), default="info", show_default=True, help="The least level."
)
@click.option(
    "--since", default="", help="Only lines of the last 10m, 2h, 3d, or after a time such as 2026-12-01T08:00."
)
@click.option("--follow", is_flag=True, help="Go on printing lines as they are written, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def logs(stage: str, about: str, level: str, since: str, *, follow: bool, as_json: bool) -> None:
    """Print the logs of all processes, oldest line first. Reads HOME/logs, so the line need not run.

    Kafka's log and what libraries printed are among them. With --follow and without --since, only what is written from
    now on is printed.
    """
    folder, start = Settings().paths().logs, start_of(since, datetime.now(UTC))
    if not log_parts(folder) and not follow:
        raise WrongUse(
            f"there are no logs in {folder}", hint="headrace up writes them; HEADRACE_HOME names another home"
        )
    wanted = both(of_stage(folder, stage, must_be=not follow), at_least(level), of_file(folder, about, follow=follow))
    show = shown_as_json if as_json else shown_as_text(sys.stdout.isatty())
    with closing(Follower(folder)) as follower:
        count = 0
        if not follow or since:
            for line in filter(wanted, merged_lines(folder, start)):
                count += 1
                click.echo(show(line))
        if not follow:
            if not count and not as_json:
                click.echo("no such lines")
            return
        for line in filter(wanted, coming(follower)):
            click.echo(show(line))
            sys.stdout.flush()


def coming(follower: Follower) -> Iterator[Line]:
    """Yield lines as they come, for ever."""
    while True:
        yield from follower.new_lines()
        time.sleep(_POLL_SECS)


def both(*conditions: Wanted) -> Wanted:
    """Return the condition that a line meets all of these."""
    return lambda line: all(condition(line) for condition in conditions)


def at_least(level: str) -> Wanted:
    """Return the condition that a line has this level or a higher one."""
    least = SEVERITY_NUMBERS[level]
    return lambda line: SEVERITY_NUMBERS.get(str(line.get("level")), least) >= least


def of_stage(folder: Path, stage: str, *, must_be: bool) -> Wanted:
    """Return the condition that a line is of a stage; raises WrongUse, with the names there are, if none is so called.

    Processes of one stage are called NAME, NAME-1, NAME-2.
    """
    if not stage:
        return lambda _line: True
    known = sorted({part.process for part in log_parts(folder)})
    if must_be and not any(process == stage or process.startswith(f"{stage}-") for process in known):
        raise WrongUse(f'no logs of a stage "{printable(stage)}"', hint=f"there are {', '.join(known)}")
    return lambda line: stage in {line.get("stage"), line.get("process")}


def of_file(folder: Path, about: str, *, follow: bool) -> Wanted:
    """Return the condition that a line is about a file; raises WrongUse if no line knows that file.

    A file's name is looked for in the lines that tell it, with its dataset if it is given as DATASET/NAME. While logs
    are followed, a file may also come later.
    """
    if not about:
        return lambda _line: True
    if _TRACE.fullmatch(about):
        return lambda line: line.get("trace_id") == about
    dataset, slash, rest = about.partition("/")
    named = rest if slash and rest else about
    if _FILE.fullmatch(named):
        return lambda line: line.get("file") == named[:16] and (not slash or line.get("dataset") == dataset)

    def names_it(line: Line) -> bool:
        return line.get("name") == named and "dataset" in line and (not slash or line["dataset"] == dataset)

    traces = {str(one["trace_id"]) for one in _ours(folder) if names_it(one) and "trace_id" in one}
    told = bool(traces) or any(names_it(one) for one in _ours(folder))
    if not told and not follow:
        raise WrongUse(f'no line is about a file "{printable(about)}"', hint="headrace files shows those that came in")

    def is_about(line: Line) -> bool:
        if names_it(line):
            traces.update({str(line["trace_id"])} if "trace_id" in line else ())
            return True
        return line.get("trace_id") in traces

    return is_about


def _ours(folder: Path) -> Iterable[Line]:
    return merged_lines(folder)


def start_of(since: str, now: datetime) -> str:
    """Return the time from which lines are wanted, as lines tell it; "" for all. Raises WrongUse if it is none.

    >>> start_of("10m", datetime(2026, 12, 1, 8, 0, tzinfo=UTC))
    '2026-12-01T07:50:00.000+00:00'
    """
    if not since:
        return ""
    seconds = parse_duration(since.upper()) or _short(since)
    try:
        moment = now - timedelta(seconds=seconds) if seconds else datetime.fromisoformat(since)
    except (ValueError, OverflowError) as error:
        hint = "write 30s, 10m, 2h, 3d or a time such as 2026-12-01T08:00"
        raise WrongUse(f'--since "{printable(since)}" is no time', hint=hint) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _short(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    return int(number) * UNIT_SECONDS[unit] if number.isdecimal() and unit in UNIT_SECONDS else 0


def shown_as_json(line: Line) -> str:
    """Return a line as one object whose keys are a closed set; what an event tells of itself is in `fields`."""
    own = {name: value for name, value in line.items() if name in KEYS}
    told = {name: value for name, value in line.items() if name not in KEYS}
    number = SEVERITY_NUMBERS.get(str(line["level"]), 0)
    return json.dumps({"severity_number": number, **own, "fields": told}, default=str, ensure_ascii=False)


def shown_as_text(terminal: bool) -> Callable[[Line], str]:
    """Return what makes text of a line, in colour at a terminal unless NO_COLOR says otherwise."""
    colour = terminal and not os.environ.get("NO_COLOR")
    return lambda line: as_text(line, colour=colour)
