"""Lengths of time as contracts write them: ISO 8601 durations, and numbers with a unit."""

import re
from collections.abc import Mapping

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_SECONDS: Mapping[str, int] = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "seconds": ("s", "sec", "second", "seconds"),
    "minutes": ("m", "min", "minute", "minutes"),
    "hours": ("h", "hr", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "week", "weeks"),
}
UNIT_SECONDS: Mapping[str, int] = {
    spelling: _SECONDS[unit] for unit, spellings in _SPELLINGS.items() for spelling in spellings
}
"""How many seconds a unit of a service level has, by each of its spellings; `m` is a minute."""


def parse_duration(text: object) -> int | None:
    """Return the seconds of an ISO 8601 duration, None for anything else.

    Years and months are no lengths (they differ), fractions are not read.

    >>> parse_duration("PT5M"), parse_duration("P1DT12H"), parse_duration("P1M"), parse_duration("5m")
    (300, 129600, None, None)
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    found = {unit: int(number) for unit, number in match.groupdict().items() if number} if match else {}
    # "PT" and "P1DT" name no time after T.
    if not found or str(text).endswith("T"):
        return None
    return sum(number * _SECONDS[unit] for unit, number in found.items())


def spoken_duration(seconds: int) -> str:
    """Return seconds as an ISO 8601 duration, for people and for drafts.

    >>> spoken_duration(86_400), spoken_duration(5_400), spoken_duration(0)
    ('P1D', 'PT1H30M', 'PT0S')
    """
    days, rest = divmod(seconds, _SECONDS["days"])
    hours, rest = divmod(rest, _SECONDS["hours"])
    minutes, rest = divmod(rest, _SECONDS["minutes"])
    parts = "".join(f"{number}{mark}" for number, mark in ((hours, "H"), (minutes, "M"), (rest, "S")) if number)
    if days and not parts:
        return f"P{days}D"
    return f"P{f'{days}D' if days else ''}T{parts or '0S'}"
