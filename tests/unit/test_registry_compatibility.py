"""Compatibility: which change breaks which level, and in which words."""

import pytest

from headrace.embedded.registry.avro_check import parse_new
from headrace.embedded.registry.avro_model import SchemaInvalid
from headrace.embedded.registry.compatibility import Difference, Earlier, Level, differences, violations

BACKWARD = {Level.BACKWARD, Level.BACKWARD_TRANSITIVE}
FORWARD = {Level.FORWARD, Level.FORWARD_TRANSITIVE}
FULL = {Level.FULL, Level.FULL_TRANSITIVE}


def record(*fields: str, name: str = "R", more: str = "") -> str:
    return f'{{"type":"record","name":"{name}"{more},"fields":[{",".join(fields)}]}}'


def enum(*symbols: str, more: str = "") -> str:
    return '{"type":"enum","name":"E","symbols":["' + '","'.join(symbols) + f'"]{more}}}'


A = '{"name":"a","type":"int"}'
B = '{"name":"b","type":"int"}'
B_DEFAULT = '{"name":"b","type":"int","default":0}'


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        (record(A), record(A), set()),
        (record(A), record(A, B_DEFAULT), set()),
        (record(A), record(A, B), BACKWARD | FULL),
        (record(A, B), record(A), FORWARD | FULL),
        (record(A, B_DEFAULT), record(A), set()),
        (record(A), record('{"name":"a","type":"long"}'), FORWARD | FULL),
        (record('{"name":"a","type":"long"}'), record(A), BACKWARD | FULL),
        (record(A), record('{"name":"a","type":"string"}'), BACKWARD | FORWARD | FULL),
        (record(A), record('{"name":"z","type":"int","aliases":["a"]}'), FORWARD | FULL),
        (record(A), record('{"name":"a","type":["null","int"],"default":null}'), FORWARD | FULL),
        (record('{"name":"a","type":["null","int"]}'), record('{"name":"a","type":["null","long"]}'), FORWARD | FULL),
        (record(A), record(A, name="S"), BACKWARD | FORWARD | FULL),
        (record(A, name="n.R"), record(A, name="m.R"), set()),
        (record(A, name="n.R"), record(A, name="n.S", more=',"aliases":["R"]'), FORWARD | FULL),
        ('"bytes"', '"string"', set()),
        ('"float"', '"double"', FORWARD | FULL),
        ('{"type":"array","items":"int"}', '{"type":"array","items":"long"}', FORWARD | FULL),
        ('{"type":"map","values":"long"}', '{"type":"map","values":"int"}', BACKWARD | FULL),
        (enum("A", "B"), enum("A"), BACKWARD | FULL),
        (enum("A"), enum("A", "B"), FORWARD | FULL),
        (enum("A"), enum("A", "B", more=',"default":"A"'), FORWARD | FULL),
        (enum("A", "B"), enum("A", more=',"default":"A"'), set()),
        ('{"type":"fixed","name":"F","size":1}', '{"type":"fixed","name":"F","size":2}', BACKWARD | FORWARD | FULL),
        ('["int","string"]', '["string","int"]', set()),
        ('["int"]', '"int"', set()),
        ('["int","null"]', '"int"', BACKWARD | FULL),
    ],
)
def test_a_change_breaks_exactly_the_levels_it_should(old: str, new: str, broken: set[Level]) -> None:
    earlier = [Earlier(1, parse_new(old))]
    assert {level for level in Level if violations(level, parse_new(new), earlier)} == broken


@pytest.mark.parametrize(
    ("reader", "writer", "expected"),
    [
        (
            record(A, B),
            record(A),
            Difference("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/1", "b"),
        ),
        (enum("A"), enum("A", "C", "B"), Difference("MISSING_ENUM_SYMBOLS", "/symbols", "[B, C]")),
        (record(name="n.R"), record(name="m.S"), Difference("NAME_MISMATCH", "/name", "expected: m.S")),
        (
            '{"type":"fixed","name":"F","size":1}',
            '{"type":"fixed","name":"F","size":2}',
            Difference("FIXED_SIZE_MISMATCH", "/size", "expected: 2, found: 1"),
        ),
        (
            '["null","int"]',
            '["null","string"]',
            Difference("MISSING_UNION_BRANCH", "/1", "reader union lacking writer type: STRING"),
        ),
        (
            record('{"name":"a","type":["null","int"]}'),
            record('{"name":"a","type":"string"}'),
            Difference("MISSING_UNION_BRANCH", "/fields/0/type", "reader union lacking writer type: STRING"),
        ),
        (
            record('{"name":"a","type":{"type":"array","items":"int"}}'),
            record('{"name":"a","type":{"type":"array","items":["int","null"]}}'),
            Difference(
                "TYPE_MISMATCH",
                "/fields/0/type/items/1",
                "reader type: INT not compatible with writer type: NULL",
            ),
        ),
    ],
)
def test_a_difference_is_told_with_its_place(reader: str, writer: str, expected: Difference) -> None:
    assert differences(parse_new(reader).root, parse_new(writer).root) == [expected]


def test_recursive_schemas_are_compared() -> None:
    tree = record('{"name":"value","type":"int"}', '{"name":"next","type":["null","R"]}')
    wider = record('{"name":"value","type":"long"}', '{"name":"next","type":["null","R"]}')
    assert differences(parse_new(wider).root, parse_new(tree).root) == []
    assert [one.path for one in differences(parse_new(tree).root, parse_new(wider).root)] == ["/fields/0/type"]


def test_only_transitive_levels_look_past_the_last_version() -> None:
    earlier = [Earlier(1, parse_new(record(A))), Earlier(2, parse_new(record(A, B_DEFAULT)))]
    third = parse_new(record(A, '{"name":"b","type":"int"}'))
    assert violations(Level.BACKWARD, third, earlier) == []
    assert "{oldSchemaVersion: 1}" in violations(Level.BACKWARD_TRANSITIVE, third, earlier)
    assert violations(Level.NONE, parse_new('"int"'), earlier) == []


def test_a_large_old_schema_is_told_in_part() -> None:
    old = parse_new(record(A, name="R", more=f',"doc":"{"x" * 20_000}"'))
    told = violations(Level.BACKWARD, parse_new('"int"'), [Earlier(1, old)])
    assert any(part.startswith("{oldSchema: <truncated> '") and len(part) < 10_400 for part in told)


def test_schemas_too_large_to_compare_are_refused_and_do_not_take_for_ever() -> None:
    names = [record(name=f"R{place}") for place in range(800)]
    union = parse_new("[" + ",".join(names) + "]").root
    other = parse_new("[" + ",".join(name.replace("R", "S") for name in names) + "]").root
    with pytest.raises(SchemaInvalid, match="comparisons"):
        differences(union, other)


def test_a_field_that_matches_two_is_refused() -> None:
    reader = parse_new(record('{"name":"a","type":"int","aliases":["b"]}'))
    with pytest.raises(SchemaInvalid, match="matches multiple fields"):
        differences(reader.root, parse_new(record(A, B)).root)
