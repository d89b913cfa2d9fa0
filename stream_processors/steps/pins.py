"""References under a name: merged windows as a message of stage `facts`, and back. Pure."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.stream_processors.steps.file_facts import FACTS
from headrace.stream_processors.steps.window_state import Part, WindowState


def pin_values(dataset: str, version: str, name: str, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return the message that pins the merged windows of each clock under a name."""
    pins = [
        {"clock": clock, "name": name, "part": base64.b64encode(part.pack()).decode()} for clock, part in parts.items()
    ]
    return facts_values(dataset, version, {"pins": pins})


def facts_values(dataset: str, version: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of stage `facts`, as profile_delta.avsc has it."""
    nothing: dict[str, Any] = {"reasons": {}, "rules": {}, "columns": [], "rows": 0, "rejected": 0}
    named = {"dataset": dataset, "file": "", "name": "", "stage": FACTS, "contract_version": version, "trace_id": ""}
    ended = {"file_rows": None, "file_state": "", "file_reason": "", "tolerance": None, "owner": ""}
    return named | nothing | ended | {"facts": json.dumps(told, separators=(",", ":"))}


def pinned_parts(delta: Mapping[str, Any]) -> list[tuple[str, str, Part]]:
    """Return (clock, name, merged windows) of each reference that a message of stage `facts` pins."""
    pins = json.loads(delta["facts"] or "{}").get("pins", ())
    return [(pin["clock"], pin["name"], Part.unpack(base64.b64decode(pin["part"]))) for pin in pins]


def pinned_of(windows: Iterable[Part]) -> Part:
    """Return several windows as one reference, of its profiles and figures alone."""
    merged = WindowState(windows).merged()
    return Part(
        merged.offset,
        merged.version,
        merged.rows,
        counts=merged.counts,
        cells=merged.cells,
        fields=merged.fields,
        unmerged=merged.unmerged,
    )
