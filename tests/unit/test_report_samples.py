"""Rows to look at: masked by what the contract says of each field, and nothing personal is even asked for."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
import yaml

from headrace.errors import ContractInvalid, WarehouseRefused
from headrace.runtime.quality_store import QualityStore
from headrace.runtime.report.samples import MOST_COLUMNS, masked_value, sample_rows
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_masking import Masking

KEY = b"a key of this report alone"
PERSON = {"mail": "ann@example.org", "name": "Ann Geheimrat", "phone": "+49 30 1234567", "salary": "70000"}


def contract(*fields: dict[str, Any]) -> Contract:
    known = [{"logicalType": "string", **field} for field in fields]
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "d", "version": "1", "status": "active"}
    return parse_contract(yaml.safe_dump(head | {"schema": [{"name": "d", "properties": known}]}), "d")


def own(**properties: object) -> list[dict[str, object]]:
    return [{"property": name, "value": value} for name, value in properties.items()]


PEOPLE = contract(
    {"name": "town"},
    {"name": "mail", "tags": ["pii"], "customProperties": own(piiType="email")},
    {"name": "name", "tags": ["pii"]},
    {"name": "phone", "customProperties": own(pii=True, masking="partial")},
    {"name": "salary", "classification": "secret sauce"},
)


class Rows:
    """Stored rows by place; it remembers which columns it was asked for."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = {("f00", number): row for number, row in enumerate(rows)}
        self.asked: list[str] = []

    def rows_at(self, _dataset: str, places: Sequence[tuple[str, int]], names: Sequence[str]) -> dict[Any, Any]:
        self.asked = list(names)
        found = {place: self.rows[place] for place in places if place in self.rows}
        return {place: {name: row.get(name) for name in names} for place, row in found.items()}


def store(rows: Rows) -> QualityStore:
    return cast(QualityStore, rows)


def alert(count: int = 2, field: str = "mail") -> dict[str, Any]:
    samples = [{"file": "f00", "row": number} for number in range(count)]
    return {"samples": samples, "field": field, "segments": [{"name": "town=Ulm"}]}


def test_no_personal_value_is_shown_and_what_is_hidden_is_not_asked_for() -> None:
    rows = Rows(PERSON | {"town": "Ulm"}, PERSON | {"town": "Rom", "name": None})
    found = sample_rows(store(rows), PEOPLE, alert(), KEY)
    assert found is not None
    shown = str(found)
    assert not [value for value in PERSON.values() if value in shown]
    assert rows.asked == ["mail", "town", "phone"]
    assert found.columns == ("mail", "town", "name", "phone", "salary")
    (first, second) = [dict(zip(found.columns, values, strict=True)) for _, values in found.rows]
    assert first["mail"] == second["mail"], "a token is shared by equal values"
    assert first["mail"].startswith("#")
    assert (first["name"], second["name"]) == ("hidden", "hidden"), "not even that it is missing"
    assert (first["phone"], first["salary"], first["town"]) == ("+…", "hidden", "Ulm")
    assert found.masked
    assert found.marked == {"mail"}


def test_token_cannot_be_made_from_a_guess_nor_compared_between_reports() -> None:
    first, second = (masked_value("ann@example.org", Masking.HASH, key) for key in (KEY, b"another"))
    assert first != second


@pytest.mark.parametrize(
    ("field", "masking"),
    [
        ({}, Masking.SHOW),
        ({"classification": "public"}, Masking.SHOW),
        ({"classification": "Internal"}, Masking.SHOW),
        ({"classification": "restricted"}, Masking.HIDE),
        ({"classification": "confidential"}, Masking.HIDE),
        ({"classification": "a class that nobody knows"}, Masking.HIDE),
        ({"tags": ["pii"]}, Masking.HIDE),
        ({"customProperties": own(pii=True)}, Masking.HIDE),
        ({"customProperties": own(piiType="email")}, Masking.HASH),
        ({"customProperties": own(piiType="a kind that nobody knows")}, Masking.HIDE),
        ({"classification": "restricted", "customProperties": own(piiType="email")}, Masking.HIDE),
        ({"classification": "restricted", "customProperties": own(piiType="email", masking="sha256")}, Masking.HASH),
        ({"customProperties": own(masking="partial")}, Masking.PARTIAL),
        ({"tags": ["pii"], "customProperties": own(masking="hide")}, Masking.HIDE),
    ],
)
def test_masking_follows_the_contract_and_fails_closed(field: dict[str, Any], masking: Masking) -> None:
    (known,) = contract({"name": "x", **field}).fields
    assert known.masking is masking
    assert known.personal is (masking is not Masking.SHOW)


@pytest.mark.parametrize("said", [{"masking": "none"}, {"masking": 3}, {"pii": "yes"}, {"piiType": 7}])
def test_masking_that_cannot_be_followed_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ContractInvalid, match="has a wrong value"):
        contract({"name": "x", "customProperties": own(**said)})


def test_without_a_contract_or_rows_there_is_nothing_to_show() -> None:
    assert sample_rows(store(Rows(PERSON)), None, alert(), KEY) is None
    assert sample_rows(store(Rows(PERSON)), PEOPLE, alert(0), KEY) is None
    assert sample_rows(store(Rows()), PEOPLE, alert(), KEY) is None


def test_rows_that_the_warehouse_refuses_are_told_and_not_invented() -> None:
    class Refusing(Rows):
        def rows_at(self, _dataset: str, _places: Any, _names: Any) -> dict[Any, Any]:
            raise WarehouseRefused("no column salary", hint="wait")

    found = sample_rows(store(Refusing()), PEOPLE, alert(), KEY)
    assert found is not None
    assert "no column salary" in found.problem


def test_wide_dataset_shows_the_columns_of_the_finding_first() -> None:
    wide = contract(*({"name": f"x{number}"} for number in range(30)))
    found = sample_rows(store(Rows({})), wide, alert(1, "x29") | {"segments": [{"name": "x17=a, x18=b"}]}, KEY)
    assert found is not None
    assert len(found.columns) == MOST_COLUMNS
    assert found.columns[:3] == ("x29", "x17", "x18")
