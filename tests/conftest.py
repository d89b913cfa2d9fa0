"""Fixtures that every part's tests share."""

from collections.abc import Iterator

import hypothesis
import pytest

from headrace.testing.flood import SEED
from headrace.testing.line import RunningLine
from headrace.testing.stack import EmbeddedStack

# How long one example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("headrace", deadline=None)
hypothesis.settings.load_profile("headrace")


def pytest_report_header() -> str:
    """Name the seed of the kills, so that a failure can be repeated."""
    return f"HEADRACE_SEED={SEED} (kills; set it to repeat a run)"


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    """Embedded Kafka, registry and warehouse, started once a session; tests share it, so names must be their own."""
    with EmbeddedStack() as running:
        yield running


@pytest.fixture(scope="session")
def line() -> Iterator[RunningLine]:
    """A whole line as `headrace up` starts it, once a session; tests share it, so dataset names must be their own.

    It has two slots of each kind; the demo's test has a line with one.
    """
    with RunningLine(environment={"HEADRACE_INGEST_SLOTS": "2", "HEADRACE_SINK_SLOTS": "2"}) as running:
        yield running
