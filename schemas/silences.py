"""Whom a person asked not to be told: HOME/silences.yaml, a list of {dataset, rule, until, by, why}; `*` is all.

Written by `headrace alerts silence` and by people, read by the quality app. A silenced alert is published all the same,
with `silenced` true: subscribers leave it out, the record does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import yaml

ALL = "*"
HINT = (
    "write a list of entries like {rule: missing_mass, dataset: orders, until: 2026-12-01T08:00:00Z, by: ann, why: x}"
)
_TEXTS = ("dataset", "rule", "by", "why")
_KEYS = frozenset({*_TEXTS, "until"})
_MICROS = 1_000_000


@dataclass(frozen=True)
class Silence:
    """One entry; `until` is in microseconds since 1970, `by` and `why` are for people.

    An alert of a file is silenced by an entry that names its rule only: `*` speaks of rules about windows.
    """

    rule: str
    dataset: str
    until: int
    by: str = ""
    why: str = ""

    def covers(self, dataset: str, rule: str, at: int) -> bool:
        """Return True if a rule of a dataset is silenced at a moment."""
        return self.rule in {rule, ALL} and self.dataset in {dataset, ALL} and at < self.until

    def names(self, dataset: str, rule: str, at: int) -> bool:
        """Return True if a rule of a dataset is silenced by its name at a moment."""
        return self.rule == rule and self.covers(dataset, rule, at)


def read_silences(text: str) -> list[Silence]:
    """Return the entries of a file of silences; raises ValueError if any of it cannot be followed.

    >>> read_silences("[{rule: late, until: 2030-01-01}]")[0].covers("orders", "late", 0)
    True
    """
    entries, problems = sound_silences(text)
    if problems:
        raise ValueError("; ".join(problems))
    return entries


def sound_silences(text: str) -> tuple[list[Silence], list[str]]:
    """Return the entries of a file of silences that can be followed, and what is wrong with each of the others.

    >>> sound_silences("[{rule: late, until: 2030-01-01}, {rule: x, until: soon}]")[1]
    ['entry 2: dataset, rule, by, why are texts, until is a date or a time']
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [], [" ".join(str(error).split())]
    if data is None:
        return [], []
    if not isinstance(data, list):
        return [], ["it is not a list"]
    entries, problems = [], []
    for number, entry in enumerate(data, 1):
        try:
            entries.append(_silence(number, entry))
        except ValueError as error:
            problems.append(str(error))
    return entries, problems


def write_silences(entries: Iterable[Silence]) -> str:
    """Return the text of a file of silences.

    >>> read_silences(write_silences([Silence("late", "orders", 0, "ann", "migration")]))
    [Silence(rule='late', dataset='orders', until=0, by='ann', why='migration')]
    """
    found = [
        {
            "dataset": one.dataset,
            "rule": one.rule,
            "until": datetime.fromtimestamp(one.until / _MICROS, UTC),
            "by": one.by,
            "why": one.why,
        }
        for one in entries
    ]
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _silence(number: int, entry: Any) -> Silence:
    if not isinstance(entry, dict) or "until" not in entry or not entry.keys() <= _KEYS:
        raise ValueError(f"entry {number} is {entry!r}; it takes {', '.join(sorted(_KEYS))}")
    texts = {"dataset": ALL, "rule": ALL, "by": "", "why": ""} | {key: entry[key] for key in _TEXTS if key in entry}
    until = entry["until"]
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(until, date):
        raise ValueError(f"entry {number}: {', '.join(_TEXTS)} are texts, until is a date or a time")
    moment = until if isinstance(until, datetime) else datetime.combine(until, time())
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Silence(texts["rule"], texts["dataset"], int(moment.timestamp() * _MICROS), texts["by"], texts["why"])
