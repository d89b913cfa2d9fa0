"""Fixtures that every part's tests share."""

import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from headrace.testing.flood import SEED
from headrace.testing.line import RunningLine
from headrace.testing.stack import EmbeddedStack

# How long one example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("headrace", deadline=None)
hypothesis.settings.load_profile("headrace")
# Where an image forbids bytecode (PYTHONDONTWRITEBYTECODE), each of the suite's 400 processes would compile headrace
# anew: 0.3 s of CPU each, and the workers all tests. Users' processes start from bytecode, and so do the suite's.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# What begins last runs alone at the end, so these begin first: about in the order of how long they take.
LONGEST = (
    "line of tests/e2e",
    "line of tests/failure",
    "tests/e2e/test_demo.py",
    "tests/failure/test_stack_runtime.py",
    "tests/integration/test_watcher_publishing.py",
    "tests/failure/test_full_line_stops.py",
    "tests/integration/test_advisor.py",
    "tests/failure/test_record_loop_kills.py",
    "tests/integration/test_quality_members.py",
    "tests/integration/test_sink_exactly_once.py",
    "tests/e2e/test_passwords.py",
)
# Their tests share nothing that is dear to make: each may go to another worker.
APART = frozenset({"tests/e2e/test_demo.py", "tests/failure/test_full_line_stops.py"})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Let one worker run what shares a line or a module's fixtures, so that each of those is made once.

    xdist reads the groups in this hook, so they are given before it; and the order is shuffled in it, so it is made
    after it: random within a group and, but for the longest ones and the tests of services, among groups.
    """
    for item in items:
        if (group := group_of(item)) not in APART:
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    items.sort(key=begins)


def group_of(item: pytest.Item) -> str:
    """Return the tests of a folder that use the whole line, else the module."""
    path = item.nodeid.partition("::")[0]
    return f"line of {path.rpartition('/')[0]}" if uses_line(item) else path


def uses_line(item: pytest.Item) -> bool:
    """Return True for tests that share the line of this file; a module may have a fixture of that name itself."""
    return "line" in getattr(item, "fixturenames", ()) and not hasattr(getattr(item, "module", None), "line")


def begins(item: pytest.Item) -> int:
    """Return the place of a test's group: the longest ones, other tests of services, tests without any."""
    group = group_of(item)
    if group in LONGEST:
        return LONGEST.index(group)
    return len(LONGEST) if item.get_closest_marker("stack") else len(LONGEST) + 1


def pytest_report_header() -> str:
    """Name the seed of the kills, so that a failure can be repeated."""
    return f"HEADRACE_SEED={SEED} (kills; set it to repeat a run)"


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    """Embedded Kafka, registry and warehouse, started once a session; tests share it, so names must be their own."""
    with EmbeddedStack() as running:
        yield running


LINE = pytest.StashKey[RunningLine]()


@pytest.fixture(scope="module")
def line(request: pytest.FixtureRequest) -> RunningLine:
    """A whole line as `headrace up` starts it; the tests of a folder share it, so dataset names must be their own.

    It has two slots of each kind; the demo's test has a line with one. It is stopped after the last test that uses it:
    an idle line takes a tenth of a core.
    """
    stash = request.config.stash
    if LINE not in stash:
        running = RunningLine(environment={"HEADRACE_INGEST_SLOTS": "2", "HEADRACE_SINK_SLOTS": "2"})
        running.__enter__()
        stash[LINE] = running
    return stash[LINE]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Stop the shared line after the last test of those that use it, once everything of that test is torn down."""
    yield
    # A module may have tests without it in between.
    goes_on = nextitem is not None and (nextitem.path == item.path or uses_line(nextitem))
    if LINE in item.config.stash and not goes_on:
        running = item.config.stash[LINE]
        del item.config.stash[LINE]
        running.__exit__(None, None, None)
