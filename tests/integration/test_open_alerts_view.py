"""The view of open alerts shows the last word on each subject, as `headrace alerts --open` does."""

from collections.abc import Iterator

import pytest

from headrace.sinks.ddl import apply_ddl
from headrace.sinks.views import view
from headrace.testing.warehouse import OwnWarehouse
from headrace.transport.warehouse import Warehouse

pytestmark = pytest.mark.stack
HOUR = 3_600
# Subject, state, hours at which it was raised and its window began (None: no window), silenced. Each has its own id.
TOLD = (
    ("resolved", "open", 1, 0, False),
    ("resolved", "still", 2, 1, False),
    ("resolved", "resolved", 3, 2, False),
    ("still", "open", 1, 0, False),
    ("still", "still", 2, 1, False),
    ("again", "open", 1, 0, False),
    ("again", "resolved", 2, 1, False),
    ("again", "open", 3, 2, False),
    ("silenced", "open", 1, 0, False),
    ("silenced", "still", 2, 1, True),
    # Many windows closed at one moment: the newest window has the last word, whatever came last.
    ("caught_up", "resolved", 5, 4, False),
    ("caught_up", "open", 5, 3, False),
    ("of_the_line", "open", 1, None, False),
    ("of_the_line", "resolved", 2, None, False),
    # Alerts of files from before there were subjects stand each for itself.
    ("", "open", 1, None, False),
    ("", "open", 2, None, False),
)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    with OwnWarehouse() as running, Warehouse(running.settings) as own:
        apply_ddl(own)
        for at, (subject, state, raised, start, silenced) in enumerate(TOLD):
            own.execute(
                "INSERT INTO headrace.alert_entries (alert_id, _key, dataset, rule, subject, state, severity, "
                "raised_at, window_start, silenced, _offset) SELECT {id:String}, {id:String}, 'orders', {rule:String}, "
                "{subject:String}, {state:String}, 'warning', toDateTime64({raised:Int64}, 6), "
                "toDateTime64({start:Nullable(Int64)}, 6), {silenced:Bool}, {at:Int64}",
                {
                    "id": str(at),
                    "rule": subject or "file",
                    "subject": subject,
                    "state": state,
                    "raised": raised * HOUR,
                    "start": None if start is None else start * HOUR,
                    "silenced": silenced,
                    "at": at,
                },
            )
        yield own


@pytest.mark.parametrize("dataset", ["", "orders"])
def test_open_alerts_are_those_whose_last_word_is_not_resolved(warehouse: Warehouse, dataset: str) -> None:
    open_alerts = view("open_alerts")
    found = warehouse.rows(open_alerts.query, open_alerts.bound({"dataset": dataset}))
    assert sorted((rule, raised_at.hour) for raised_at, _severity, _dataset, rule, *_ in found) == [
        ("again", 3),
        ("file", 1),
        ("file", 2),
        ("still", 2),
    ]


def test_open_alerts_of_another_dataset_are_left_out(warehouse: Warehouse) -> None:
    assert warehouse.rows(view("open_alerts").query, {"dataset": "parcels"}) == []
