"""Profile deltas on a topic that tests share: some tests put messages there that are none."""

from collections.abc import Iterable
from typing import Any

from headrace.schemas.system import MessageUnreadable, read_checked, system_schema_text


def readable_deltas(values: Iterable[bytes | None]) -> list[dict[str, Any]]:
    """Return the deltas among messages' values, in order."""
    found = []
    for value in values:
        try:
            found.append(read_checked("profile_delta", value, system_schema_text("profile_delta")))
        except MessageUnreadable:  # another test's poison
            continue
    return found
