"""Which window a record belongs to, by event time and by arrival. Pure: the time of arrival is given."""

import polars as pl

from headrace.schemas.check_rules import WindowSpec
from headrace.stream_processors.checks.base import EVENT, WINDOW

_MICROS = 1_000_000


def event_times(frame: pl.DataFrame, spec: WindowSpec) -> pl.Series:
    """Return each record's event time as a UTC timestamp; null where it has none, or the contract names no field.

    >>> from datetime import date
    >>> event_times(pl.DataFrame({"day": [date(1970, 1, 2)]}), WindowSpec("day")).to_list()
    [datetime.datetime(1970, 1, 2, 0, 0)]
    """
    if spec.time_field not in frame.columns:
        return pl.Series(EVENT, [None], pl.Datetime("us")).new_from_index(0, frame.height)
    return frame.select(pl.col(spec.time_field).cast(pl.Datetime("us")).alias(EVENT)).to_series()


def window_starts(frame: pl.DataFrame, spec: WindowSpec) -> pl.Series:
    """Return the start of each record's window of event time in whole seconds since 1970; null without event time.

    >>> from datetime import datetime
    >>> frame = pl.DataFrame({"at": [datetime(1970, 1, 1, 1, 30), None]})
    >>> window_starts(frame, WindowSpec("at", size_secs=3600)).to_list()
    [3600, None]
    """
    return starts_of(event_times(frame, spec).to_physical(), spec)


def starts_of(micros: pl.Series, spec: WindowSpec) -> pl.Series:
    """Return the window start, in whole seconds, of moments in microseconds since 1970."""
    return (micros // (_MICROS * spec.size_secs) * spec.size_secs).alias(WINDOW)
