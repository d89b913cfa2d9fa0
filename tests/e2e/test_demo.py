"""headrace demo on a running line: it proves its receipts, and a second one recognises every file."""

import re

import pytest

from headrace.core.child import wait_until
from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack


@pytest.mark.timeout(300)
def test_demo_proves_its_receipts_and_a_second_one_skips_the_same_bytes(line: RunningLine) -> None:
    first = line.headrace("demo")
    assert "proved" in first.stdout
    assert "partial: unterminated_quote" in first.stdout
    flights = line.value("SELECT count() FROM headrace.flights")
    second = line.headrace("demo")
    assert second.stdout.count("skipped: the same bytes are in already") == 17
    assert "proved" in second.stdout
    assert "17 of 17 files were recognised" in second.stdout
    (flights_row,) = [text.split() for text in second.stdout.splitlines() if re.match(r"flights +\d+ +13 ", text)]
    assert flights_row[-2:] == ["-", "-"], "rates are those of this run"
    assert line.value("SELECT count() FROM headrace.flights") == flights
    # January's first rows, as the source has them: the oracle is the file, not the line.
    first_flight = "SELECT carrier, flight, origin, dest FROM headrace.flights WHERE _row = 0 AND month = 1 AND day = 1"
    assert set(line.value(f"{first_flight} ORDER BY _offset LIMIT 1").splitlines()) == {"UA\t1545\tEWR\tIAH"}
    assert_windows_of_the_year(line)


def assert_windows_of_the_year(line: RunningLine) -> None:
    """Every day but the last two, which wait for late rows, is closed with verdicts over the rows that are stored."""
    ours = "headrace.windows WHERE dataset = 'flights' AND clock = 'event'"
    days = f"SELECT count() FROM {ours} AND score IS NOT NULL AND notEmpty(verdicts)"
    assert wait_until(lambda: line.value(days) == "364", 30), line.value(days)
    # The demo's damaged file comes in when its days are long forgotten; what became of its rows is in its receipt.
    stored = (
        "SELECT toDate(time_hour) AS day, count() FROM headrace.flights "
        "WHERE _file NOT IN (SELECT file FROM headrace.alerts WHERE rule = 'file_partial') GROUP BY day"
    )
    accepted = line.value(f"SELECT toDate(start), rows - rejected FROM {ours}").splitlines()
    assert set(accepted) <= set(line.value(stored).splitlines())
    failed = "arrayExists(v -> v.rule = 'cancelled_flights' AND v.outcome = 'fail', verdicts)"
    storm = line.value(f"SELECT toDate(start) FROM {ours} AND {failed}").split()
    assert {"2013-02-08", "2013-02-09"} <= set(storm)
