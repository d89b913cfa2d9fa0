"""Which Avro schemas may be registered, and the text under which they are stored."""

import json

import pytest

from headrace.embedded.registry.avro_check import parse_new, parse_stored
from headrace.embedded.registry.avro_model import SchemaInvalid
from headrace.schemas.system import system_schema_text


def record(*fields: str, name: str = "R", more: str = "") -> str:
    return f'{{"type":"record","name":"{name}"{more},"fields":[{",".join(fields)}]}}'


def deep(levels: int) -> str:
    return '{"type":"array","items":' * levels + '"int"' + "}" * levels


# Each of these is let through by avro, by fastavro, or by both (docs/decisions/0004).
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (record('{"name":"a","type":["int","null"],"default":null}'), "the first of the union"),
        (record('{"name":"a","type":["null","int"],"default":1}'), "the first of the union"),
        (record('{"name":"a-b","type":"int"}'), "Illegal name"),
        (record('{"name":"","type":"int"}'), "Illegal name"),
        (record('{"name":"a","type":"int","default":"x"}'), "Invalid default"),
        (record('{"name":"a","type":"int","default":2147483648}'), "Invalid default"),
        (record('{"name":"a","type":"long","default":1.0}'), "Invalid default"),
        (record('{"name":"a","type":"boolean","default":0}'), "Invalid default"),
        (record('{"name":"a","type":"bytes","default":"\\u0100"}'), "Invalid default"),
        (record('{"name":"a","type":{"type":"fixed","name":"F","size":2},"default":"x"}'), "Invalid default"),
        (record('{"name":"a","type":{"type":"enum","name":"E","symbols":["A"]},"default":"B"}'), "Invalid default"),
        (record('{"name":"a","type":{"type":"array","items":"int"},"default":["x"]}'), "Invalid default"),
        (record('{"name":"a","type":{"type":"map","values":"int"},"default":{"k":"x"}}'), "Invalid default"),
        (record('{"name":"r","type":"R","default":{}}'), "nested too deep"),
        (record('{"name":"a","type":"int"}', '{"name":"a","type":"int"}'), "Duplicate field"),
        (record('{"name":"a","type":"int","order":"upwards"}'), "Invalid order"),
        (record('{"name":"a","type":"int","aliases":"b"}'), "aliases"),
        (record('{"name":"a"}'), "No field type"),
        (record('{"type":"int"}'), "No field name"),
        (record(name="1R"), "Illegal name"),
        (record(name="int"), "primitive"),
        (record(more=',"namespace":"a..b"'), "Illegal name"),
        (record(more=',"namespace":"a-b"'), "Illegal name"),
        (record(more=',"namespace":5'), "namespace"),
        ('{"type":"record","name":"R"}', "Record has no fields"),
        ('{"type":"record","fields":[]}', "No name"),
        ('["int",["null"]]', "Nested union"),
        ('["int","int"]', "Duplicate in union"),
        ('[{"type":"fixed","name":"F","size":1},"F"]', "Duplicate in union"),
        ('[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":2}]', "Can't redefine"),
        ('{"type":"fixed","name":"F","size":-1}', "Invalid or no size"),
        ('{"type":"fixed","name":"F"}', "Invalid or no size"),
        ('{"type":"enum","name":"E","symbols":["A","A"]}', "Duplicate enum symbol"),
        ('{"type":"enum","name":"E","symbols":["A-B"]}', "Illegal name"),
        ('{"type":"enum","name":"E","symbols":["A"],"default":"B"}', "Enum Default"),
        ('{"type":"enum","name":"E"}', "Enum has no symbols"),
        ('{"type":"array"}', "no items"),
        ('{"type":"map"}', "no values"),
        ('{"type":"strange"}', "Undefined name"),
        ('"R"', "Undefined name"),
        ("5", "No type"),
        ("{}", "No type"),
        ('{"type":"bytes","logicalType":"decimal"}', "precision"),
        ('{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}', "scale"),
        ('{"type":"bytes","logicalType":"decimal","precision":2,"scale":-1}', "scale"),
        ('{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5}', "cannot store"),
        ('{"type":"string","logicalType":"date"}', "needs int"),
        ('{"type":"int","logicalType":"timestamp-micros"}', "needs long"),
        ('{"type":"fixed","name":"F","size":8,"logicalType":"uuid"}', "16 bytes"),
        ("[" * 5_000, "nested"),
        (deep(65), "nested"),
        ("NaN", "not JSON"),
        (record('{"name":"a","type":"double","default":NaN}'), "not JSON"),
        ('"\ud800"', "not JSON"),
        ("1" * 5_000, "not JSON"),
        ("", "not JSON"),
    ],
)
def test_a_schema_that_readers_would_stumble_over_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SchemaInvalid, match=reason):
        parse_new(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('{"type": "string"}', '"string"'),
        ('{"avro.java.string": "String", "type": "string"}', '{"type":"string","avro.java.string":"String"}'),
        ('["null", {"type": "int"}]', '["null","int"]'),
        (
            '{"fields":[{"default":0,"doc":"why","type":"int","name":"a","x":1,"order":"descending","aliases":["b"]}],'
            '"aliases":["x.Old","Older"],"p":[1],"doc":"d","namespace":"x","name":"R","type":"record"}',
            '{"type":"record","name":"R","namespace":"x","doc":"d","fields":[{"name":"a","type":"int","doc":"why",'
            '"default":0,"order":"descending","aliases":["b"],"x":1}],"p":[1],"aliases":["Old","Older"]}',
        ),
        (
            '{"type":"enum","default":"A","symbols":["A","B"],"name":"x.E","p":1}',
            '{"type":"enum","name":"E","namespace":"x","symbols":["A","B"],"default":"A","p":1}',
        ),
        (
            record(
                '{"name":"a","type":{"type":"fixed","size":16,"name":"F","logicalType":"uuid"}}',
                '{"name":"b","type":["null","n.F"],"default":null}',
                '{"name":"c","type":"R"}',
                more=',"namespace":"n"',
            ),
            '{"type":"record","name":"R","namespace":"n","fields":['
            '{"name":"a","type":{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}},'
            '{"name":"b","type":["null","F"],"default":null},{"name":"c","type":"R"}]}',
        ),
        (
            record('{"name":"a","type":{"type":"record","name":"I","namespace":"","fields":[]}}', name="n.R"),
            '{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"record","name":"I",'
            '"namespace":"","fields":[]}}]}',
        ),
        ('{"type":"int","logicalType":"unheard-of"}', '{"type":"int","logicalType":"unheard-of"}'),
        (record('{"name":"a","type":"string","doc":"\\u00fc"}'), record('{"name":"a","type":"string","doc":"ü"}')),
        (deep(60), deep(60)),
    ],
)
def test_a_schema_is_stored_as_javas_library_prints_it(text: str, stored: str) -> None:
    found = parse_new(text).text
    assert found == stored
    assert parse_new(found).text == found
    assert parse_stored(found).text == found


@pytest.mark.parametrize("name", ["file_entry", "profile_delta", "contract_text", "sink_block", "alert"])
def test_the_platforms_own_schemas_may_be_registered(name: str) -> None:
    assert json.loads(parse_new(system_schema_text(name)).text)["type"] == "record"
