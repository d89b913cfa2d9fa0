"""The reference page, made from the code: python -m headrace.cli.reference writes docs/guide/reference.md.

A test compares the page with what this makes, so a setting, command, topic, state, reason, event or table that is not
documented fails the build.
"""

import dataclasses
import inspect
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import click
from pydantic import SecretStr

from headrace.cli import COMMANDS, headrace
from headrace.core.vocabulary import MEANINGS, AlertState, FileState, Reason, Severity, Stage
from headrace.observability import events, export, notify_events, window_events
from headrace.schemas.system import system_schema
from headrace.schemas.topics import SYSTEM_TOPICS, TopicSpec, dataset_topics
from headrace.settings import Settings

PAGE = Path("docs/guide/reference.md")
_MESSAGES = ("file_entry", "quarantined_row", "profile_delta", "alert", "sink_block", "contract_text")
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
    parts += ["## Commands\n", *_commands(), "## Settings\n", *_settings(), "## Topics\n", *_topics()]
    parts += ["## Messages\n", *_messages(), "## Closed sets\n", *_sets(), "## Events and metrics\n", *_events()]
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


def _messages() -> Iterator[str]:
    yield "Values are Avro in Confluent's wire format: byte 0, the schema id in four bytes, the body.\n"
    for name in _MESSAGES:
        schema = system_schema(name)
        yield f"### `{name}`\n\n{schema['doc']}\n"
        yield _table(("field", "meaning"), ((f"`{field['name']}`", field.get("doc", "")) for field in schema["fields"]))


def _sets() -> Iterator[str]:
    for title, members in _SETS:
        yield f"### {title}\n"
        yield _table(("code", "meaning"), ((f"`{member.value}`", MEANINGS[member]) for member in members))


def _events() -> Iterator[str]:
    found = {
        kind.__name__: kind
        for module in (events, export, notify_events, window_events)
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, events.Event) and kind is not events.Event
    }
    rows = []
    for kind in found.values():
        labels = f"{{{','.join(kind.labels)}}}" if kind.labels else ""
        metric = f"`{kind.metric}{labels}`" if kind.metric else ""
        fields = ", ".join(field.name for field in dataclasses.fields(kind))
        rows.append((kind.text, metric, fields, inspect.cleandoc(kind.__doc__ or "").splitlines()[0]))
    yield _table(("log text", "counter", "fields", "meaning"), sorted(rows))


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
