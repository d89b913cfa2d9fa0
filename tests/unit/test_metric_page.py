"""The catalogue of metrics: its page, the names and units by Prometheus' conventions, and its labels."""

import re
from pathlib import Path

from headrace.cli.event_page import event_kinds
from headrace.cli.metric_page import PAGE, catalog, metric_page
from headrace.observability.endpoint import PROCESSES
from headrace.observability.events import measures_of
from headrace.observability.metrics import OWN_MEASURES, Kind
from headrace.runtime.plan import STAGES

ROOT = Path(__file__).parents[2]
PROMISED = """headrace_stage_lag headrace_stage_rows_per_second headrace_stage_state headrace_process_memory_bytes
headrace_process_open_files headrace_process_cpu_seconds_total headrace_process_restarts_total headrace_process_up
headrace_queue_depth headrace_stage_rows_total headrace_stage_bytes_total headrace_stage_batches_total
headrace_rejected_rows_total headrace_stored_rows_total headrace_files_total headrace_alerts_total
headrace_log_events_total headrace_lost_spans_total headrace_transaction_seconds headrace_batch_seconds
headrace_file_visible_seconds headrace_insert_seconds""".split()
# Labels from closed sets, and names that contracts, learners and targets bound.
LABELS = frozenset(
    "dataset stage topic table state reason rule severity level exporter name queue metric learner target kind "
    "code cause format direction service user symptom".split()
)


def test_page_of_metrics_is_what_the_catalogue_says() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == metric_page(), "run make docs"


def test_dashboards_and_alerts_find_the_metrics_they_are_built_on() -> None:
    assert set(PROMISED) <= set(catalog())


def test_names_units_and_meanings_follow_prometheus_conventions() -> None:
    found = catalog()
    assert len(found) > 60
    for name, measure in found.items():
        assert re.fullmatch(r"headrace(_[a-z]+)+", name), name
        assert name.endswith("_total") == (measure.kind in {Kind.COUNTER, Kind.TOTAL}), name
        assert measure.about.endswith("."), name
        assert not re.search(r"_(ms|millis|minutes|kb|mb|percent|secs)(_|$)", name), name
        if measure.kind is Kind.HISTOGRAM:
            assert name.endswith(("_seconds", "_bytes")), name
            assert measure.bounds == tuple(sorted(measure.bounds)) != (), name
        assert measure.unit == {"seconds": "s", "bytes": "By"}.get(
            name.removesuffix("_total").rpartition("_")[2], measure.unit
        )


def test_labels_come_from_closed_sets_and_never_name_a_file() -> None:
    assert {label for measure in catalog().values() for label in measure.labels} <= LABELS
    kept = {name: kind.labels for name, kind in event_kinds().items() if "file" in kind.labels}
    assert kept == {}


def test_one_name_means_one_metric() -> None:
    told = [*OWN_MEASURES, *(one for kind in event_kinds().values() for one in measures_of(kind))]
    kinds = {(one.name, one.kind, one.labels, one.about, one.value, one.bounds) for one in told}
    assert len(kinds) == len({name for name, *_ in kinds})


def test_processes_with_a_fixed_port_are_in_the_order_of_the_plan() -> None:
    assert tuple(STAGES) == PROCESSES[: len(STAGES)]
