"""The contracts of the quality bench: flights without any check, as shipped, and with every check of records."""

from pathlib import Path
from typing import Any

import yaml

from headrace.runtime.samples import FLIGHTS
from headrace.schemas.check_catalog import check_named, check_names
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_store import shipped_contract

# Field ("" for the record) and parameters of the checks that the shipped contract of flights does not ask for.
_ALL: dict[str, tuple[str, dict[str, Any]]] = {
    "arrival_delay": ("", {"quantile": 0.95, "atMost": 1_000_000_000}),
    "complete_rows": ("", {"fields": ["dep_time", "arr_time"], "atLeast": 50}),
    "control_total": ("distance", {"decimals": 0}),
    "dominance_heaping": ("arr_time", {"of": "last_digit", "atMost": 40}),
    "encoding": ("dest", {"atMost": 0.1}),
    "format": ("dest", {"format": "currency", "atMost": 100}),
    "future_time": ("", {"tolerance_secs": 60, "atMost": 0}),
    "in_set": ("origin", {"values": ["EWR", "JFK", "LGA"], "atMost": 0.5}),
    "late_rate": ("", {"after_secs": 3600, "atMost": 100}),
    "latency": ("", {"fields": ["time_hour"], "atMost": 1_000_000_000}),
    "length": ("dest", {"maximum": 3, "atMost": 1}),
    "lossy_cast": ("tailnum", {"to": "long", "atMost": 100}),
    "mean_std_bounds": ("distance", {"of": "std", "atLeast": 1, "atMost": 5000}),
    "metric_anomaly": ("distance", {"metric": "median", "z": 6, "votes": 2}),
    "missing_rate": ("tailnum", {"sentinels": ["n/a", "unknown"], "atMost": 20}),
    "out_of_order": ("", {"key": ["origin"], "tolerance_secs": 1, "atMost": 100}),
    "outlier_rate": ("air_time", {"fence": 3, "atMost": 5}),
    "parse_errors": ("", {"atMost": 0.5}),
    "pattern": ("dest", {"pattern": "^[0-9A-Z]{3}$", "atMost": 1}),
    "pii_leak": ("", {"tagged": ["tailnum"]}),
    "psi_drift": ("distance", {"reference": "trailing:P7D", "bins": 20, "threshold": 0.3}),
    "range": ("air_time", {"minimum": 10, "maximum": 1200, "atMost": 0.1}),
    "replayed_file": ("", {}),
    "row_rule": ("", {"expression": "air_time <= distance", "atMost": 1}),
    "schema_change": ("", {"allow": "compatible"}),
    "schema_match": ("", {"allow_extra": True}),
    "sequence_gap": ("flight", {"key": ["carrier"], "atMost": 1_000_000}),
    "silent_source": ("origin", {"windows": 2, "atMost": 0}),
    "sink_reconcile": ("", {}),
    "stuck_value": ("dep_delay", {"longest": 100, "key": ["origin"], "atMost": 0}),
    "unique_ratio": ("tailnum", {"atLeast": 1}),
    "unit_shift": ("distance", {"tolerance": 0.05}),
}


def shipped() -> str:
    """Return the contract of flights as it ships."""
    text = shipped_contract(FLIGHTS)
    assert text is not None
    return text


def bare() -> str:
    """Return it without checks and without windows: no field is a time, and nothing but single records is judged."""
    document = yaml.safe_load(shipped())
    (table,) = document["schema"]
    table.pop("quality")
    table["customProperties"] = []
    for column in table["properties"]:
        column.pop("quality", None)
        if column["name"] == "time_hour":
            column["logicalType"] = "string"
            column.pop("logicalTypeOptions")
    return yaml.safe_dump(document, sort_keys=False)


def with_all_checks() -> str:
    """Return it with every check of records; raises AssertionError if one is missing.

    Checks of what a learner finds have no work but the learner's: `make bench` measures that too.
    """
    document = yaml.safe_load(shipped())
    (table,) = document["schema"]
    columns = {column["name"]: column for column in table["properties"]}
    for name, (field, parameters) in _ALL.items():
        words = yaml.safe_dump({"check": name} | parameters, sort_keys=False)
        asked = {"id": f"bench_{name}", "type": "custom", "engine": "headrace", "severity": "info"}
        asked |= {"dimension": "accuracy", "implementation": words}
        (columns[field] if field else table).setdefault("quality", []).append(asked)
    text = yaml.safe_dump(document, sort_keys=False)
    contract = parse_contract(text)
    of_records = {name for name in check_names() if "learner" not in check_named(name).Model.model_fields}
    missing = of_records - {rule.check for rule in contract.checks}
    assert not missing, f"checks that the bench does not ask for: {sorted(missing)}"
    return text


CONTRACTS = {"bare": bare, "shipped": shipped, "all_checks": with_all_checks}
"""How much is asked of flights: single records alone; what ships, with windows of days; every check of records."""


def with_contract(home: Path, name: str) -> Path:
    """Make a home whose contract of flights is one of `CONTRACTS`, and return it."""
    (home / "contracts").mkdir(parents=True)
    (home / "contracts" / "flights.odcs.yaml").write_text(CONTRACTS[name]())
    return home
