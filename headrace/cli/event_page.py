"""The page of events, made from their classes: python -m headrace.cli.event_page writes docs/guide/events.md.

A test compares the page with what this makes, and looks in the sources for what it must have found.
"""

import dataclasses
import importlib
import inspect
import logging
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_type_hints

from headrace import observability
from headrace.cli.json_shapes import of_type
from headrace.observability.events import Event, event_name
from headrace.observability.log_lines import LogJson

PAGE = Path("docs/guide/events.md")
_HEAD = """\
# Events

Made by `make docs` from the code; a test holds it against the code.

An event is something that happened, told by the part that did it: one line in a log, and one counter that grows. Its
name never changes; the words of its text may. A counter also counts what is left out of the logs because it repeats.
[Logs](logs.md) says where lines go and how to read them, [Metrics](metrics.md) what is counted and measured.

## A line

"""


def event_page() -> str:
    """Return the whole page as Markdown."""
    return _HEAD + "\n".join(_parts())


def event_kinds() -> Mapping[str, type[Event]]:
    """Return every event of headrace by its class's name, in the order of those names."""
    for module in pkgutil.iter_modules(observability.__path__):
        importlib.import_module(f"{observability.__name__}.{module.name}")
    found: dict[str, type[Event]] = {}
    waiting = [Event]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found |= {kind.__name__: kind for kind in kinds if kind.__module__.startswith("headrace.")}
    return dict(sorted(found.items()))


def _parts() -> Iterator[str]:
    yield "| key | type | meaning |\n| --- | --- | --- |"
    for key, word, meaning in of_type(LogJson).rows():
        yield f"| `{key}` | {word} | {meaning} |"
    yield "| the event's fields | | Under their own names, as each event below tells them. |\n"
    kinds = event_kinds()
    yield f"## All {len(kinds)} events\n"
    yield "| event | level | text | counter |\n| --- | --- | --- | --- |"
    for kind in kinds.values():
        name = event_name(kind)
        yield f"| [`{name}`](#{name}) | {_level(kind)} | {kind.text} | {_counter(kind)} |"
    yield ""
    for kind in kinds.values():
        yield from _event(kind)


def _event(kind: type[Event]) -> Iterator[str]:
    yield f"### `{event_name(kind)}`\n\n{' '.join(inspect.cleandoc(kind.__doc__ or '').split())}\n"
    grows = f" by its `{kind.quantity}`" if kind.quantity else " by 1"
    counted = f"; {_counter(kind)} grows{grows}" if kind.metric else ""
    further = ", ".join(f"`{measure.name}`" for measure in kind.measures)
    yield f"Class `{kind.__name__}`, level {_level(kind)}, text `{kind.text}`{counted}.\n"
    if further:
        yield f"It also tells {further}: [Metrics](metrics.md).\n"
    hints = get_type_hints(kind)
    fields = [f"`{one.name}` ({_word(hints[one.name])})" for one in _fields(kind)]
    yield f"Fields: {', '.join(fields)}.\n" if fields else "It has no fields.\n"


def _word(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _fields(kind: type[Event]) -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(kind)


def _level(kind: type[Event]) -> str:
    return logging.getLevelName(kind.level).lower()


def _counter(kind: type[Event]) -> str:
    labels = f"{{{','.join(kind.labels)}}}" if kind.labels else ""
    return f"`{kind.metric}{labels}`" if kind.metric else ""


if __name__ == "__main__":
    PAGE.write_text(event_page(), encoding="utf-8")
