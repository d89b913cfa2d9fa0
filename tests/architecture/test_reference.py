"""The reference page misses nothing: what it must have is looked for in the sources, not where its maker looks."""

import ast
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from headrace.cli import COMMANDS, headrace
from headrace.cli.event_page import PAGE, event_kinds, event_page
from headrace.cli.json_shapes import Shape, shapes
from headrace.cli.reference import message_names, reference
from headrace.cli.table_pages import stored
from headrace.observability.log_lines import KEYS

ROOT = Path(__file__).parents[2]
SOURCES = ("headrace", "producers", "schemas", "stream_processors", "sinks", "observability")


@pytest.fixture(scope="module")
def page() -> str:
    return reference()


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def event_classes() -> Iterator[ast.ClassDef]:
    """Yield the classes that are events by what they are made from, in whatever module they are."""
    for folder in SOURCES:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Event" for base in node.bases):
                    yield node


def test_page_of_events_is_what_the_code_says() -> None:
    assert (ROOT / PAGE).read_text() == event_page(), "run make docs"


def test_every_event_its_fields_and_its_counter_are_on_the_page_of_events_and_nothing_else_is() -> None:
    told = {part.split("`")[0]: part for part in event_page().split("\n### `")[1:]}
    classes = {node.name: node for node in event_classes()}
    assert len(classes) > 60
    assert set(event_kinds()) == set(classes)
    assert len(told) == len(classes)
    for name, node in classes.items():
        text = told["".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")]
        own = [part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]
        fields = [part.target.id for part in own if "ClassVar" not in ast.unparse(part.annotation)]  # type: ignore[union-attr]
        assert re.findall(r"`(\w+)` \(", text.split("Fields: ")[-1]) == fields, name
        for part in own:
            if part.value is not None and ast.unparse(part.target) in {"metric", "text"}:
                assert f"`{ast.literal_eval(part.value)}" in text, name


def test_no_field_of_an_event_has_the_name_of_a_key_that_means_something_else_in_every_line() -> None:
    fields = {field.name for kind in event_kinds().values() for field in dataclasses.fields(kind)}
    assert fields & KEYS == {"dataset", "file", "process", "stage", "repeated"}


def test_every_message_and_its_fields_are_on_the_reference_page(page: str) -> None:
    files = sorted((ROOT / "schemas/avro").rglob("*.avsc"))
    assert [file.stem for file in files] == message_names()
    assert len(files) >= 8
    for file in files:
        (told,) = re.findall(rf"### `{file.stem}`\n(.*?)(?=\n##)", section(page, "Messages") + "\n##", re.DOTALL)
        missing = [one["name"] for one in json.loads(file.read_text())["fields"] if f"`{one['name']}`" not in told]
        assert missing == [], file.stem


def test_every_table_view_and_column_of_the_ddl_is_on_the_reference_page(page: str) -> None:
    ddl = "".join(file.read_text() for file in sorted((ROOT / "sinks/ddl").glob("*.sql")))
    made = set(re.findall(r"(?:TABLE|VIEW) (?:IF NOT EXISTS )?headrace\.(\w+)", ddl))
    assert len(made) >= 12
    tables = section(page, "Tables")
    assert [name for name in made if f"### `headrace.{name}`" not in tables] == []
    assert made | {"applied_ddl"} == set(stored())
    columns = set(re.findall(r"^    (?:ADD COLUMN IF NOT EXISTS )?`(\w+)` ", ddl, re.MULTILINE))
    assert len(columns) > 100
    assert [name for name in columns if f"| `{name}` |" not in tables] == []


def test_what_every_json_option_prints_is_on_the_reference_page_key_by_key(page: str) -> None:
    told = shapes()
    called = {name.removesuffix(" --json").removesuffix(" --wait") for name in told}
    assert called == {name for name, command in commands() if takes_json(command)}
    for name, (_count, shape) in told.items():
        assert f"### `headrace {name}`" in section(page, "What `--json` prints")
        unsaid = [path for path, _kind, meaning in shape.rows() if not meaning]
        assert unsaid == [], name


def test_shape_of_json_has_no_array_or_object_that_says_nothing_of_what_is_in_it() -> None:
    def hollow(shape: Shape) -> bool:
        inside = [*shape.keys.values(), *filter(None, [shape.each])]
        return (shape.kind in {"array", "object"} and not inside) or any(map(hollow, inside))

    assert [name for name, (_count, shape) in shapes().items() if hollow(shape)] == []


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(headrace)
    for name in COMMANDS:
        command = headrace.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", one) for child, one in command.commands.items())


def takes_json(command: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)
