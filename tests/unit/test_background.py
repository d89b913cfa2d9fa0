"""Work in the background waits for files on their way, in turns, and never for one that is stuck."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from headrace.core.vocabulary import FileState
from headrace.schemas.ledger import FileEntry, new_entry
from headrace.stream_processors.background import HOLD_SECS, STUCK_SECS, TURN_SECS, Patience, any_moves, is_in_flight

AT = datetime(2026, 1, 1, tzinfo=UTC)


def entry(state: FileState, *, balanced: bool = False, at: datetime = AT) -> FileEntry:
    return new_entry(
        dataset="orders",
        sha256="ab" * 32,
        name="a",
        path="a",
        bytes=3,
        modified_at=AT,
        state=state,
        balanced=balanced,
        updated_at=at,
    )


class Line:
    """A line that is busy or not, and a clock that only a test moves."""

    def __init__(self) -> None:
        self.busy = True
        self.now = 1_000.0
        self.patience = Patience(lambda: self.busy, monotonic=lambda: self.now)

    def after(self, secs: float) -> bool:
        self.now += secs
        return self.patience.may_work()


@pytest.mark.parametrize(
    ("state", "balanced", "in_flight"),
    [
        (FileState.CLAIMED, False, True),
        (FileState.PUBLISHING, False, True),
        (FileState.PUBLISHED, False, True),
        (FileState.BALANCED, True, False),
        (FileState.REJECTED, False, False),
        (FileState.SKIPPED, False, False),
    ],
)
def test_a_file_is_in_flight_until_its_receipt_is_proved(state: FileState, balanced: bool, in_flight: bool) -> None:
    assert is_in_flight(entry(state, balanced=balanced)) is in_flight


def test_a_file_of_which_nothing_is_heard_holds_nobody_up() -> None:
    lost = [entry(FileState.PUBLISHED)]
    assert any_moves(lost, AT.timestamp() + STUCK_SECS - 1)
    assert not any_moves(lost, AT.timestamp() + STUCK_SECS)
    assert any_moves([*lost, entry(FileState.PUBLISHING, at=AT + timedelta(seconds=60))], AT.timestamp() + STUCK_SECS)


def test_work_goes_on_as_soon_as_the_line_is_idle() -> None:
    line = Line()
    assert not line.after(1)
    line.busy = False
    assert line.after(1)


def test_work_has_turns_on_a_line_that_is_never_idle() -> None:
    line = Line()
    worked = [line.after(1) for _ in range(round(HOLD_SECS + TURN_SECS))]
    assert not any(worked[: round(HOLD_SECS)])
    assert worked[round(HOLD_SECS) :] == [True] * round(TURN_SECS)
    assert not line.after(1)


def test_a_piece_of_work_is_held_up_for_two_minutes_at_most_in_all() -> None:
    line, waits = Line(), []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            line.now += 1.0
            return False

    line.patience.begin()
    started = line.now
    line.patience.wait(Stop())
    first = line.now - started
    line.now += TURN_SECS
    line.patience.wait(Stop())
    line.patience.wait(Stop())
    assert first == HOLD_SECS
    assert 120.0 <= line.now - started <= 122.0
    assert len(waits) < 120
