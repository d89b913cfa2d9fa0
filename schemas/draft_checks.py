"""The checks that a draft begins with, guessed from a sample: all of severity info, for a person to sharpen."""

import math
import re
from collections.abc import Sequence

import polars as pl

from headrace.schemas.durations import spoken_duration
from headrace.schemas.guess import ColumnGuess, Sample, moments
from headrace.schemas.record import FieldType

# A smaller sample says nothing about shares and keys.
ENOUGH_ROWS = 20
_MARGIN_POINTS = 5
_MARGIN_FACTOR = 1.5
_KEY_NAME = re.compile(r"(?:.*_)?(?:id|key|code|uuid|number|nr|no)")
_KEY_TYPES = frozenset({FieldType.LONG, FieldType.STRING})
_WINDOW_ROWS = 20
_SIZES = (300, 3_600, 86_400, 604_800)


def null_bound(guess: ColumnGuess) -> int | None:
    """Return the percent of missing values that a draft allows: what the sample has and a margin; None for no bound.

    >>> null_bound(ColumnGuess(FieldType.LONG, values=98, nulls=2)), null_bound(ColumnGuess(FieldType.LONG, values=5))
    (7, None)
    """
    rows = guess.values + guess.nulls
    if not guess.values or rows < ENOUGH_ROWS:
        return None
    share = 100 * guess.nulls / rows
    bound = math.ceil(max(share * _MARGIN_FACTOR, share + _MARGIN_POINTS))
    return bound if bound < 100 else None


def looks_like_key(name: str, column: pl.Series, guess: ColumnGuess, position: int) -> bool:
    """Return True for a column that may be the key: nothing missing, nothing twice, and first or named like one."""
    named = position == 0 or _KEY_NAME.fullmatch(name) is not None
    if not named or guess.type not in _KEY_TYPES or guess.nulls or guess.values < ENOUGH_ROWS:
        return False
    return column.n_unique() == guess.values


def window_of(sample: Sample, names: Sequence[str], guesses: Sequence[ColumnGuess]) -> tuple[str, str]:
    """Return the first timestamp field and a length of windows, "" and "" without a timestamp.

    The length is the shortest of 5 minutes, an hour, a day and a week that held 20 rows of the sample on average.
    """
    position = next((number for number, guess in enumerate(guesses) if guess.type is FieldType.TIMESTAMP), None)
    if position is None:
        return "", ""
    times = moments(sample.frame.to_series(position).str.strip_chars()).dt.epoch("s")
    first, last = times.min(), times.max()
    span = int(last) - int(first) if isinstance(first, int) and isinstance(last, int) else 0
    wanted = [size for size in _SIZES if guesses[position].values * size >= _WINDOW_ROWS * span]
    return names[position], spoken_duration(wanted[0] if wanted else _SIZES[-1])
