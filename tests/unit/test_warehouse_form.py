"""A form's body: which parts are fields, and that everything else is refused by its name."""

import asyncio
import gzip
from collections.abc import MutableMapping
from typing import Any

import pytest

from headrace.embedded.warehouse.body import Body
from headrace.embedded.warehouse.compression import decoder_for
from headrace.embedded.warehouse.faults import Fault
from headrace.embedded.warehouse.form import MOST_FORM_BYTES, MOST_PARTS, form_fields, is_form, read_form
from headrace.embedded.warehouse.requests import add_fields, read_query, refuse_unsupported

KIND = "multipart/form-data; boundary=x"
FIELD = 'Content-Disposition: form-data; name="{}"'


def part(head: str, value: bytes = b"1") -> bytes:
    return b"--x\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def read(data: bytes, *, encoding: str = "", piece: int = 1000) -> dict[str, str]:
    chunks = [data[start : start + piece] for start in range(0, len(data), piece)]

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    return asyncio.run(read_form(KIND, Body(receive), decoder_for(encoding)))


@pytest.mark.parametrize(
    "head",
    [
        'Content-Disposition: form-data; name="param_a"',
        "content-disposition:form-data;name=param_a",
        'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="param_a"',
        'Content-Disposition: form-data; name="param_a"\r\nContent-Transfer-Encoding: 8bit',
    ],
)
def test_field_is_read_however_a_client_writes_its_head(head: str) -> None:
    assert form_fields(KIND, form(part(head, b"v"))) == {"param_a": "v"}


@pytest.mark.parametrize(
    "value",
    [b"", b"\r\n", b"\r\n\r\n", b"a--x", b"a\r\n--\r\nb", "größer\t'\\".encode(), b"\x00\x01", b"Content-Type: a"],
)
def test_value_is_kept_byte_for_byte(value: bytes) -> None:
    found = form_fields(KIND, form(part(FIELD.format("query"), b"SELECT 1"), part(FIELD.format("param_a"), value)))
    assert found["param_a"].encode() == value


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_body_is_read_in_pieces_and_decoded(encoding: str, piece: int) -> None:
    data = form(part(FIELD.format("query"), b"SELECT {a:String}"), part(FIELD.format("param_a"), b"y" * 5000))
    sent = gzip.compress(data) if encoding else data
    assert read(sent, encoding=encoding, piece=piece) == {"query": "SELECT {a:String}", "param_a": "y" * 5000}


def test_compressed_body_that_ends_too_early_is_refused() -> None:
    with pytest.raises(Fault, match="ends too early"):
        read(gzip.compress(form(part(FIELD.format("query"))))[:-4], encoding="gzip")


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ('Content-Disposition: form-data; name="e"; filename="e"', "'e'"),
        ('Content-Disposition: form-data; name="query"; filename="q.sql"', "'query'"),
        ('Content-Disposition: form-data; FileName=""; name="param_a"', "'param_a'"),
        ("Content-Disposition: form-data; name=\"param_a\"; filename*=utf-8''x", "'param_a'"),
        (FIELD.format("e"), "'e'"),
        (FIELD.format("e_structure"), "'e_structure'"),
        (FIELD.format("e_types"), "'e_types'"),
        (FIELD.format("e_format"), "'e_format'"),
        (FIELD.format("max_threads"), "'max_threads'"),
        (FIELD.format("user"), "'user'"),
        (FIELD.format("Query"), "'Query'"),
        (f"{FIELD.format('param_a')}\r\nContent-Transfer-Encoding: base64", "'param_a'"),
    ],
)
def test_every_other_part_is_refused_by_its_name(head: str, named: str) -> None:
    with pytest.raises(Fault) as caught:
        form_fields(KIND, form(part(FIELD.format("query"), b"SELECT 1"), part(head)))
    assert (caught.value.code, caught.value.status) == (48, 501)
    assert named in caught.value.text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SELECT 1",
        b"before\r\n" + form(part(FIELD.format("query"))),
        part(FIELD.format("query")),
        form(part(FIELD.format("query"))) + b"after",
        form(part(FIELD.format("query"))).replace(b"\r\n\r\n", b"\r\n"),
        form(part(FIELD.format("query"))).replace(b"\r\n", b"\n"),
        form(part(FIELD.format("query"), b"\r\n--xyz")),
        form(part(FIELD.format("query")), part(FIELD.format("query"))),
        form(part("Content-Disposition: form-data")),
        form(part(FIELD.format(""))),
        form(part('Content-Disposition: form-data; name="query"; name="param_a"')),
        form(part('Content-Disposition: form-data; name="query"; size=1')),
        form(part('Content-Disposition: form-data; name="param_\\"a"')),
        form(part('Content-Disposition: attachment; name="query"')),
        form(part(f"{FIELD.format('query')}\r\n{FIELD.format('param_a')}")),
        form(part(f"{FIELD.format('query')}\r\nno header")),
        form(part("Content-Type: text/plain")),
        form(part(FIELD.format("param_" + "a" * 5000))),
    ],
)
def test_what_is_not_plainly_a_form_is_refused(data: bytes) -> None:
    with pytest.raises(Fault) as caught:
        form_fields(KIND, data)
    assert (caught.value.code, caught.value.status) == (36, 400)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", f"{KIND}{'y' * 70}"])
def test_boundary_is_needed(kind: str) -> None:
    with pytest.raises(Fault, match="boundary"):
        form_fields(kind, form(part(FIELD.format("query"))))


def test_form_is_bounded_by_bytes_and_by_parts() -> None:
    heads = len(form(part(FIELD.format("param_a"), b"")))
    assert len(read(form(part(FIELD.format("param_a"), b"y" * (MOST_FORM_BYTES - heads))), piece=2**20)) == 1
    many = [part(FIELD.format(f"param_a{number}")) for number in range(MOST_PARTS + 1)]
    assert len(form_fields(KIND, form(*many[:-1]))) == MOST_PARTS
    for data in (form(part(FIELD.format("param_a"), b"y" * (MOST_FORM_BYTES - heads + 1))), form(*many)):
        with pytest.raises(Fault) as caught:
            read(data, piece=2**20)
        assert (caught.value.code, caught.value.status) == (229, 413)


def test_bomb_stops_at_the_bound() -> None:
    with pytest.raises(Fault, match="larger than"):
        read(gzip.compress(form(part(FIELD.format("param_a"), b"\0" * 2**28))), encoding="gzip")


def test_large_table_is_refused_as_a_table_not_as_too_large() -> None:
    head = 'Content-Disposition: form-data; name="e"; filename="e"'
    with pytest.raises(Fault, match=r"the part 'e' .* is a file"):
        read(form(part(FIELD.format("query")), part(head, b"y" * 2 * MOST_FORM_BYTES)), piece=2**20)


@pytest.mark.parametrize("kind", ["multipart/form-data", "Multipart/Form-Data;boundary=x", "multipart/form-data ; a=b"])
def test_form_is_told_by_its_type(kind: str) -> None:
    assert is_form(kind)
    assert not is_form(kind.replace("-", "_"))


def test_fields_stand_at_the_end_of_the_url() -> None:
    query = read_query("POST", "/", b"query=SELECT+&param_a=1&max_threads=2", [])
    found = add_fields(query, {"query": "{a:Int8}", "param_b": "2"})
    assert found.query == "SELECT {a:Int8}"
    assert (found.parameters, found.settings) == ({"a": "1", "b": "2"}, (("max_threads", "2"),))
    with pytest.raises(Fault, match="'a' is in the URL and in the form"):
        add_fields(query, {"param_a": "2"})


def test_parameter_of_a_form_that_is_not_utf8_is_refused_as_in_a_url() -> None:
    fields = form_fields(KIND, form(part(FIELD.format("param_a"), b"\xff")))
    with pytest.raises(Fault) as caught:
        refuse_unsupported(add_fields(read_query("POST", "/", b"", []), fields))
    assert (caught.value.code, caught.value.status) == (36, 400)
