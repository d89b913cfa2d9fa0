"""The reference page, made from the code: python -m headrace.cli.reference writes docs/guide/reference.md.

A test compares the page with what this makes, and others look in the sources for what it must have found: a setting,
command, topic, message, table, state, reason or event that is not documented fails the build.
"""

import inspect
from collections.abc import Iterable, Iterator
from enum import StrEnum
from importlib import resources
from pathlib import Path

import click
from pydantic import SecretStr

from headrace.cli import COMMANDS, headrace
from headrace.cli.json_shapes import Shape, message, shapes
from headrace.cli.table_pages import Stored, stored
from headrace.core.vocabulary import MEANINGS, AlertState, FileState, Reason, Severity, Stage
from headrace.schemas.system import system_schema
from headrace.schemas.topics import SYSTEM_TOPICS, TopicSpec, dataset_topics
from headrace.settings import Settings
from headrace.sinks.tables import SYSTEM_COLUMNS

PAGE = Path("docs/guide/reference.md")
_SETS: tuple[tuple[str, type[StrEnum]], ...] = (
    ("File states", FileState),
    ("Stages of a quarantined row", Stage),
    ("Reasons", Reason),
    ("Severities", Severity),
    ("Alert states", AlertState),
)


def reference() -> str:
    """Return the whole page as Markdown."""
    parts = ["# Reference\n", "Made by `make docs` from the code; a test holds it against the code.\n"]
    parts += ["## Commands\n", *_commands(), "## What `--json` prints\n", *_json(), "## Settings\n", *_settings()]
    parts += ["## Topics\n", *_topics(), "## Messages\n", *_messages(), "## Tables\n", *_tables()]
    parts += ["## Closed sets\n", *_sets(), "## Events and metrics\n", *_events()]
    return "\n".join(parts)


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(headings)
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def _commands() -> Iterator[str]:
    context = click.Context(headrace)
    for name in COMMANDS:
        command = headrace.get_command(context, name)
        if command is None:
            continue
        yield from _command(f"headrace {name}", command)


def _command(called: str, command: click.Command) -> Iterator[str]:
    yield f"### `{called}`\n\n{inspect.cleandoc(command.help or '')}\n"
    context = click.Context(command, info_name=called)
    options = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    shown = [(f"`{record[0]}`", record[1]) for record in options if record and record[0] != "--help"]
    if shown:
        yield _table(("option", "meaning"), shown)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (child := command.get_command(context, name)) is not None:
                yield from _command(f"{called} {name}", child)


def _settings() -> Iterator[str]:
    yield "Environment variables; an empty address means the embedded service of the home.\n"
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = "" if default in {"", None} else f"`{default}`"
        rows.append((f"`HEADRACE_{name.upper()}`", shown, field.description))
    yield _table(("variable", "default", "meaning"), rows)


def _topics() -> Iterator[str]:
    def row(spec: TopicSpec) -> tuple[object, ...]:
        kept = "last value of each key" if spec.cleanup == "compact" else _days(spec.retention_ms)
        return f"`{spec.name}`", spec.partitions, kept

    specs = [*dataset_topics("DATASET"), *SYSTEM_TOPICS]
    yield _table(("topic", "partitions", "kept"), map(row, specs))


def _days(milliseconds: int) -> str:
    return "for ever" if milliseconds < 0 else f"{milliseconds // 86_400_000} days"


def message_names() -> list[str]:
    """Return the names of the platform's own messages: one a file in schemas/avro/system."""
    folder = resources.files("headrace.schemas").joinpath("avro/system")
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".avsc"))


def _messages() -> Iterator[str]:
    yield "Values are Avro in Confluent's wire format: byte 0, the schema id in four bytes, the body.\n"
    for name in message_names():
        yield f"### `{name}`\n\n{system_schema(name)['doc']}\n"
        yield _table(("field", "meaning"), ((f"`{path}`", meaning) for path, _, meaning in message(name).rows()))


def _json() -> Iterator[str]:
    yield (
        "These are stable: keys may be added, none is taken away or changes its meaning. `[]` stands for each entry of "
        "an array, `NAME` for keys that come from the data.\n"
    )
    shown: dict[str, Shape] = {}
    for called, (count, shape) in shapes().items():
        yield f"### `headrace {called}`\n"
        if same := next((other for other, known in shown.items() if known == shape), None):
            yield f"Prints {count}, with the keys of `headrace {same}`.\n"
            continue
        shown[called] = shape
        yield f"Prints {count}.\n"
        yield _table(("key", "type", "meaning"), ((f"`{path}`", kind, meaning) for path, kind, meaning in shape.rows()))


def _tables() -> Iterator[str]:
    yield (
        "All are in the database `headrace`. `headrace sql` and any ClickHouse client read them; only the pipeline "
        "writes.\n\n"
        "### `headrace.DATASET`\n\nThe accepted records of a dataset: the fields of its contract, and these.\n"
    )
    own = [(f"`{name}`", f"`{kind}`", text) for name, (kind, text) in SYSTEM_COLUMNS.items()]
    trace = ("`_trace`", "`String`", "Trace of the file, computed when it is asked for: headrace trace.")
    yield _table(("column", "type", "meaning"), [*own, trace])
    for found in stored().values():
        yield from _stored(found)


def _stored(found: Stored) -> Iterator[str]:
    about = f"{found.about}\n" if found.about else ""
    if found.query:
        yield f"### `headrace.{found.name}` (view)\n\n{about}"
        yield f"```sql\n{found.query}\n```\n"
        return
    yield f"### `headrace.{found.name}`\n\n{about}"
    rows = ((f"`{column.name}`", f"`{column.type}`", column.meaning) for column in found.columns)
    yield _table(("column", "type", "meaning"), rows)


def _sets() -> Iterator[str]:
    for title, members in _SETS:
        yield f"### {title}\n"
        yield _table(("code", "meaning"), ((f"`{member.value}`", MEANINGS[member]) for member in members))


def _events() -> Iterator[str]:
    yield (
        "[Events](events.md) has every event with its level, its fields and its counter; [Logs](logs.md) says where "
        "lines go and how to read them.\n"
    )


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
