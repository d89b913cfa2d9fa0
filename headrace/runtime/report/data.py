"""What a report is made of, masked before anything is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.runtime.report.markup import moment
from headrace.runtime.report.masking import Mask

_MICROS = 1_000_000
_RANK = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class ReportData:
    """Rows of the warehouse's views as dicts; `windows` oldest first, `newest` whole, `fields` over all of them.

    `missing` of a window is a list of (field, rows, nulls). Times are microseconds since 1970.
    `kinds` are the types of the fields.
    """

    dataset: str
    clock: str
    made_at: int
    windows: Sequence[Mapping[str, Any]]
    newest: Mapping[str, Any]
    fields: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]] = ()
    advice: Sequence[Mapping[str, Any]] = ()
    files: Sequence[Mapping[str, Any]] = ()
    names: Sequence[str] = ()
    critical: Sequence[str] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    owner: str = ""
    mask: Mask = field(default_factory=Mask)

    @property
    def width(self) -> int:
        """Return the length of a window in seconds."""
        return int((self.newest["end"] - self.newest["start"]) // _MICROS)

    def label(self, window: Mapping[str, Any]) -> str:
        """Return when a window begins, as short as its length allows."""
        return moment(window["start"], self.width)

    @property
    def open_alerts(self) -> list[Mapping[str, Any]]:
        """Return the alerts that are not resolved, the worst first."""
        found = [one for one in self.alerts if one["state"] != "resolved"]
        return sorted(
            found, key=lambda one: (bool(one["silenced"]), _RANK.get(one["severity"], 3), -one["rows_at_risk"])
        )

    @property
    def coverage(self) -> tuple[list[str], list[str]]:
        """Return the fields that a rule with a verdict looks at, and the others."""
        names = list(self.names) or [one["name"] for one in self.fields]
        looked_at = {
            name.strip()
            for one in self.newest["verdicts"]
            if one["outcome"] != "not_checked"
            for name in one["field"].split(",")
        }
        return [name for name in names if name in looked_at], [name for name in names if name not in looked_at]

    def masked(self) -> "ReportData":
        """Return the same without any value that is not to be shown."""
        rules = {one["rule"]: one["field"] for one in self.newest["verdicts"]}
        newest = {
            **self.newest,
            "verdicts": [self.mask.verdict(one) for one in self.newest["verdicts"]],
            "fields": [],
            "not_checked": [self.mask.unchecked(text, rules) for text in self.newest["not_checked"]],
        }
        return replace(
            self,
            newest=newest,
            fields=[self.mask.profile(one) for one in self.fields],
            alerts=[self.mask.alert(one) for one in self.alerts],
            advice=[self.mask.advice(one) for one in self.advice],
        )


def share_by_field(window: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return (missing, rows) of each field of a window."""
    return {name: (int(nulls), int(rows)) for name, rows, nulls in window["missing"]}
