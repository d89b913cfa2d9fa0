"""What the receipt of a file says of columns that the contract does not know."""

from headrace.producers.plan import Plan
from headrace.schemas.record import FieldType, RecordField, RecordSchema

SCHEMA = RecordSchema("orders", (RecordField("line", FieldType.STRING),))


def remark(*new_columns: str) -> str:
    return Plan("1.0.0+ab", 0.1, "me", "lines", SCHEMA, 3, 0, lambda _row, _byte: iter(()), new_columns).remark


def test_nothing_is_said_where_the_contract_knows_every_column() -> None:
    assert remark() == ""


def test_new_columns_are_named_with_the_next_action() -> None:
    assert ": unit_price, note; headrace contract show orders gives" in remark("unit_price", "note")


def test_of_very_many_columns_the_first_are_named_and_the_rest_counted() -> None:
    said = remark(*(f"c{number}" for number in range(2_000)))
    assert "c18, c19 and 1,980 more;" in said
    assert "c20" not in said
