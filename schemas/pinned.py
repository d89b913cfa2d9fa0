"""What a contract may pin as a reference: a range of time, or a name under which somebody keeps one."""

import re
from datetime import UTC, datetime

from headrace.schemas.durations import parse_duration

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def pinned_range(name: str) -> tuple[int, int] | None:
    """Return the range of windows that a pinned reference is, [first, end) in seconds since 1970; None of a name.

    >>> pinned_range("1970-01-02/P1D"), pinned_range("good_week")
    ((86400, 172800), None)
    """
    first, mark, length = name.partition("/")
    secs = parse_duration(length)
    if not mark or not secs:
        return None
    try:
        start = datetime.fromisoformat(first)
    except ValueError:
        return None
    moment = start.replace(tzinfo=UTC) if start.tzinfo is None else start
    return int(moment.timestamp()), int(moment.timestamp()) + secs


def pinned_problem(name: str) -> str:
    """Return why a pinned reference can be none, "" if it can.

    >>> pinned_problem("good_week"), pinned_problem("2013-01-01/P7D")
    ('', '')
    >>> pinned_problem("2013-13-01/P7D")
    '"2013-13-01/P7D" is no range: write e.g. 2013-01-01/P7D, or a name of letters, digits, "_", "." and "-"'
    """
    if pinned_range(name) or _NAME.fullmatch(name):
        return ""
    return f'"{name}" is no range: write e.g. 2013-01-01/P7D, or a name of letters, digits, "_", "." and "-"'
