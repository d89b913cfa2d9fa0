"""An example of each built-in check, for the page of checks; a test reads each of them as part of a contract."""

from collections.abc import Mapping
from typing import Final

FIELDS: Final[Mapping[str, str]] = {
    "device": "string",
    "event_time": "timestamp",
    "temperature": "number",
    "serial": "integer",
    "status": "string",
    "email": "string",
    "note": "string",
    "amount": "number",
    "paid": "number",
}
"""The fields of the dataset that the examples speak of, with their logical types."""

EXAMPLES: Final[Mapping[str, tuple[str, str]]] = {
    "arrival_delay": ("", "quantile: 0.95\natMost: 600"),
    "category_drift": ("status", "reference: hour_of_week\nthreshold: 0.15"),
    "complete_rows": ("", "fields: [device, event_time, temperature]\natLeast: 98"),
    "conditional_required": ("paid", "when: status = 'paid'\natMost: 1"),
    "control_total": ("amount", ""),
    "distinct_count": ("device", "atLeast: 40\natMost: 60"),
    "dominance_heaping": ("temperature", "of: last_digit\ndecimals: 1\natMost: 25"),
    "duplicate_key": ("", "fields: [device, event_time]\nlessThan: 0.1"),
    "encoding": ("note", "atMost: 0.1"),
    "format": ("email", "format: email\natMost: 1"),
    "future_time": ("", "tolerance_secs: 60\natMost: 0"),
    "in_set": ("status", "values: [open, paid, sent]\natMost: 0.5"),
    "late_rate": ("", "after_secs: 3600\natMost: 5"),
    "latency": ("", "fields: [event_time]\natMost: 900"),
    "length": ("note", "maximum: 200\natMost: 1"),
    "lossy_cast": ("temperature", "to: float\natMost: 0"),
    "mean_std_bounds": ("temperature", "of: std\natLeast: 0.5\natMost: 20"),
    "metric_anomaly": ("temperature", "metric: median\nz: 6\nvotes: 2"),
    "missing_rate": ("status", 'sentinels: ["n/a", "unknown"]\natMost: 2'),
    "null_rate": ("temperature", "atMost: 2"),
    "out_of_order": ("", "key: [device]\ntolerance_secs: 1\natMost: 1"),
    "outlier_rate": ("temperature", "fence: 3\natMost: 1"),
    "parse_errors": ("", "atMost: 0.5"),
    "pattern": ("device", 'pattern: "^S[0-9]{6}$"\natMost: 1'),
    "pii_leak": ("", "tagged: [email]"),
    "psi_drift": ("temperature", "reference: trailing:P7D\nbins: 20\nthreshold: 0.2"),
    "quantile_bounds": ("temperature", "quantile: 0.95\natMost: 40"),
    "range": ("temperature", "minimum: -60\nmaximum: 90\natMost: 0.1"),
    "reference": ("device", "dataset: devices\natMost: 0"),
    "replayed_file": ("", ""),
    "row_count": ("", "atLeast: 200\natMost: 50000"),
    "row_rule": ("", "expression: paid <= amount\natMost: 1"),
    "schema_change": ("", "allow: compatible"),
    "schema_match": ("", "allow_extra: true"),
    "segment_coverage": ("status", "segments: [open, paid]\nat_least: 10\natLeast: 100"),
    "sequence_gap": ("serial", "key: [device]\natMost: 0"),
    "silent_source": ("device", "windows: 2\natMost: 0"),
    "sink_reconcile": ("", ""),
    "stuck_value": ("temperature", "longest: 10\nkey: [device]\natMost: 0"),
    "unique_ratio": ("device", "atLeast: 5"),
    "unit_shift": ("temperature", "tolerance: 0.05"),
    "volume_anomaly": ("", "k: 4"),
}
"""By name of the check: the field that the example stands at, "" for the whole object, and its parameters."""
