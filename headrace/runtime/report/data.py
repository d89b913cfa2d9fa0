"""What a report is made of, masked before anything is drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.runtime.quality_store import Observed
from headrace.runtime.report.markup import moment
from headrace.runtime.report.masking import Mask
from headrace.runtime.report.models import LearnerFigures
from headrace.runtime.report.samples import SampleRows

_MICROS = 1_000_000
MOST_FIELDS = 150
_RANK = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class ReportData:
    """Rows of the warehouse's views as dicts; `windows` oldest first, `newest` whole, `fields` over all of them.

    `missing` of a window is a list of (field, rows, nulls). Times are microseconds since 1970.
    `kinds` are the types of the fields; `history` by rule, `samples` by alert id and masked already; `past` are
    the worst alerts of rules that are as demanded now; `outside` counts stored rows that are in no verdict,
    by the start of their window. All that quotes data is masked by `masked` alone.
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
    history: Mapping[str, Sequence[Observed]] = field(default_factory=dict)
    samples: Mapping[str, SampleRows] = field(default_factory=dict)
    past: Sequence[Mapping[str, Any]] = ()
    outside: Mapping[int, int] = field(default_factory=dict)
    learners: Sequence[LearnerFigures] = ()

    def with_details(
        self,
        *,
        fields: Sequence[Mapping[str, Any]],
        files: Sequence[Mapping[str, Any]],
        history: Mapping[str, Sequence[Observed]],
        samples: Mapping[str, SampleRows],
        past: Sequence[Mapping[str, Any]],
        outside: Mapping[int, int],
    ) -> "ReportData":
        """Return the same with what the page of one dataset shows beside the overview."""
        return replace(self, fields=fields, files=files, history=history, samples=samples, past=past, outside=outside)

    @property
    def width(self) -> int:
        """Return the length of a window in seconds."""
        return int((self.newest["end"] - self.newest["start"]) // _MICROS)

    def label(self, window: Mapping[str, Any]) -> str:
        """Return when a window begins, as short as its length allows."""
        return moment(window["start"], self.width)

    @property
    def carded(self) -> set[str]:
        """Return the names of the fields that have a card on the page, which links may lead to."""
        return {str(one["name"]) for one in self.fields[:MOST_FIELDS]}

    @property
    def file_names(self) -> dict[str, str]:
        """Return the names of the files by their ids."""
        return {str(one["file"]): str(one["name"]) for one in self.files}

    @property
    def open_alerts(self) -> list[Mapping[str, Any]]:
        """Return the alerts that are not resolved, the worst first."""
        return unresolved(self.alerts)

    @property
    def coverage(self) -> tuple[list[str], list[str]]:
        """Return the fields that a rule with a verdict looks at, and the others."""
        return covered(list(self.names) or [one["name"] for one in self.fields], self.newest["verdicts"])

    def masked(self) -> "ReportData":
        """Return the same without any value that is not to be shown."""
        rules = {one["rule"]: one["field"] for one in (*self.alerts, *self.past, *self.newest["verdicts"])}
        shown = {name for name, fields in rules.items() if not self.mask.covers(fields)}
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
            past=[self.mask.alert(one) for one in self.past],
            advice=[self.mask.advice(one) for one in self.advice],
            learners=[one.masked() if self.mask.all_fields else one for one in self.learners],
            history={name: found for name, found in self.history.items() if name in shown},
        )


def covered(names: Sequence[str], verdicts: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the fields that a rule with a verdict looks at, and the others."""
    given = [one for one in verdicts if one["outcome"] != "not_checked"]
    looked_at = {name.strip() for one in given for name in one["field"].split(",")}
    return [name for name in names if name in looked_at], [name for name in names if name not in looked_at]


def share_by_field(window: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return (missing, rows) of each field of a window."""
    return {name: (int(nulls), int(rows)) for name, rows, nulls in window["missing"]}


def unresolved(alerts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the alerts that are not resolved, the most urgent first."""
    return by_urgency(one for one in alerts if one["state"] != "resolved")


def by_urgency(alerts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return alerts in order: those not silenced first, then by severity, what a drift cost learners, rows at risk."""
    return sorted(
        alerts,
        key=lambda one: (
            bool(one["silenced"]),
            _RANK.get(one["severity"], 3),
            -one.get("model_effect", 0.0),
            -one["rows_at_risk"],
        ),
    )
