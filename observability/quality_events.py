"""Events of the processes that find out where and why an alert is."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from headrace.observability.events import Event


@dataclass(frozen=True, kw_only=True)
class AdviceGiven(Event):
    """A piece of advice was published."""

    text: ClassVar[str] = "advice given"
    metric: ClassVar[str] = "headrace_advice_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset", "symptom")
    dataset: str
    symptom: str
    field: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class AdviceMeasured(Event):
    """What following an advice did was measured and published: moved or not_moved."""

    text: ClassVar[str] = "advice measured"
    metric: ClassVar[str] = "headrace_measured_advice_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset", "state")
    dataset: str
    symptom: str
    state: str


@dataclass(frozen=True, kw_only=True)
class EvidenceMissing(Event):
    """The warehouse's rows could not say where an alert is; the alert stays as it was."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "evidence missing"
    metric: ClassVar[str] = "headrace_evidence_missing_total"
    labels: ClassVar[tuple[str, ...]] = ("dataset",)
    dataset: str
    rule: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class KeysAwaited(Event):
    """The keys of a referenced dataset could not be read; its checks say not_checked until they can."""

    level: ClassVar[int] = logging.WARNING
    text: ClassVar[str] = "reference keys awaited"
    dataset: str
    cause: str
