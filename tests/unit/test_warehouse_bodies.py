"""Bodies as they come: encodings in bounded memory, statements cut from their data, sessions over time."""

import asyncio
import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, MutableMapping
from typing import Any

import lz4.frame
import pytest
import zstandard

from headrace.embedded.warehouse.body import (
    MOST_STATEMENT_BYTES,
    Body,
    ClientLeft,
    Statement,
    read_statement,
)
from headrace.embedded.warehouse.compression import (
    PIECE_BYTES,
    ZSTD_PIECE_BYTES,
    choose_encoding,
    decode,
    decoder_for,
    encoder_for,
)
from headrace.embedded.warehouse.faults import Fault
from headrace.embedded.warehouse.sessions import MOST_SESSIONS, Sessions

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
DATA = bytes(range(256)) * 9000


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("size", [7_919, 10_000_000])
def test_decoder_gives_the_data_back_in_bounded_pieces(encoding: str, size: int) -> None:
    decoder = decoder_for(encoding)
    pieces = [piece for chunk in chunks(ENCODERS[encoding](DATA), size) for piece in decode(decoder, chunk)]
    assert b"".join(pieces) == DATA
    assert decoder.complete
    if encoding not in {"", "identity"}:
        assert max(map(len, pieces)) <= (ZSTD_PIECE_BYTES if encoding == "zstd" else PIECE_BYTES)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "lz4", "bz2", "xz"])
def test_decoder_reads_members_that_follow_each_other(encoding: str) -> None:
    decoder = decoder_for(encoding)
    data = ENCODERS[encoding](b"one") + ENCODERS[encoding](b"two")
    assert b"".join(decode(decoder, data)) == b"onetwo"
    assert decoder.complete


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "bz2", "xz"])
def test_decoder_knows_a_stream_that_ends_too_early(encoding: str) -> None:
    decoder = decoder_for(encoding)
    list(decode(decoder, ENCODERS[encoding](DATA)[:-3]))
    assert not decoder.complete


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "bz2", "xz"])
def test_decoder_refuses_what_is_not_compressed(encoding: str) -> None:
    with pytest.raises(Fault) as caught:
        list(decode(decoder_for(encoding), b"this is not compressed at all, whatever the header says"))
    assert caught.value.code == 271


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "bz2", "xz"])
def test_decoder_opens_a_bomb_piece_by_piece(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(64 * 2**20))
    assert len(bomb) < 2**20
    pieces = decode(decoder_for(encoding), bomb)
    assert len(next(pieces)) <= ZSTD_PIECE_BYTES


def test_unknown_encoding_is_refused_by_name() -> None:
    with pytest.raises(Fault, match="br") as caught:
        decoder_for("br")
    assert caught.value.code == 89


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate", ""])
def test_encoder_makes_what_the_decoder_reads(encoding: str) -> None:
    encoder, decoder = encoder_for(encoding), decoder_for(encoding)
    sent = [encoder.encode(chunk) for chunk in chunks(DATA, 100_000)] + [encoder.finish()]
    assert b"".join(piece for part in sent for piece in decode(decoder, part)) == DATA
    assert decoder.complete


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("lz4,zstd,gzip,deflate", "lz4"),
        ("gzip, deflate, br", "gzip"),
        ("br", ""),
        ("", ""),
        ("zstd;q=0, gzip;q=0.2", "gzip"),
    ],
)
def test_encoding_is_the_cheapest_that_the_client_accepts(accepted: str, chosen: str) -> None:
    assert choose_encoding(accepted) == chosen


def body_of(*parts: bytes, leaves: bool = False) -> Body:
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    messages.append({"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b""})

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    return Body(receive)


def statement_of(url: str, *parts: bytes, encoding: str = "") -> Statement:
    return asyncio.run(read_statement(url, body_of(*parts), decoder_for(encoding)))


def test_statement_is_the_urls_text_and_the_body_together() -> None:
    assert statement_of("SELECT 1").text == "SELECT 1"
    assert statement_of("", b"SELECT", b" 2").text == "SELECT 2"
    assert statement_of("SELECT * FROM t WHERE a =", b"'x'").text == "SELECT * FROM t WHERE a =\n'x'"
    assert statement_of("", gzip.compress(b"SELECT 3"), encoding="gzip").text == "SELECT 3"


def test_statement_of_an_insert_is_its_head_and_the_data_stay_bytes() -> None:
    in_url = statement_of("INSERT INTO t FORMAT Native", b"\n\x00\xff")
    assert (in_url.text, in_url.inserts, in_url.data) == ("INSERT INTO t FORMAT Native", True, ())
    in_body = statement_of("", b"INSERT INTO t FOR", b"MAT Native\n\n\x00\xff")
    assert (in_body.text, in_body.inserts, in_body.data) == ("INSERT INTO t FORMAT Native", True, (b"\n\x00\xff",))
    split = statement_of("", b"INSERT INTO t VALUES", b" (1)")
    assert (split.text, b"".join(split.data)) == ("INSERT INTO t VALUES", b" (1)")
    empty = statement_of("", b"INSERT INTO t FORMAT CSV")
    assert (empty.inserts, b"".join(empty.data)) == (True, b"")


def test_statement_may_not_be_endless_nor_broken_text() -> None:
    with pytest.raises(Fault) as caught:
        statement_of("", b"SELECT '" + bytes(MOST_STATEMENT_BYTES))
    assert caught.value.status == 413
    with pytest.raises(Fault, match="UTF-8"):
        statement_of("", b"SELECT '\xff'")


def test_body_tells_that_its_client_left() -> None:
    with pytest.raises(ClientLeft):
        asyncio.run(read_statement("", body_of(b"SELECT", leaves=True), decoder_for("")))


class FakeHandle:
    """A handle that only knows if it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_session_is_kept_locked_and_expires() -> None:
    opened: list[FakeHandle] = []
    now = [100.0]

    def open_handle(_user: str) -> Any:
        opened.append(FakeHandle())
        return opened[-1]

    sessions = Sessions(open_handle, lambda: now[0])
    first = sessions.take("default", "s", timeout_secs=60, must_exist=False)
    with pytest.raises(Fault) as locked:
        sessions.take("default", "s", timeout_secs=60, must_exist=False)
    assert locked.value.code == 373
    other = sessions.take("pipeline", "s", timeout_secs=60, must_exist=False)
    assert other.handle is not first.handle
    sessions.give_back("default", "s", close=False)
    now[0] += 59
    assert sessions.take("default", "s", timeout_secs=60, must_exist=True).handle is first.handle
    sessions.give_back("default", "s", close=False)
    now[0] += 61
    with pytest.raises(Fault) as gone:
        sessions.take("default", "s", timeout_secs=60, must_exist=True)
    assert gone.value.code == 372
    assert [handle.closed for handle in opened] == [True, False]


def test_session_closes_when_asked_and_their_number_is_bounded() -> None:
    sessions = Sessions(lambda _user: FakeHandle())  # type: ignore[arg-type,return-value]
    session = sessions.take("default", "s", timeout_secs=60, must_exist=False)
    sessions.give_back("default", "s", close=True)
    assert session.handle.closed  # type: ignore[attr-defined]
    for number in range(MOST_SESSIONS):
        sessions.take("default", str(number), timeout_secs=60, must_exist=False)
    with pytest.raises(Fault, match="Too many sessions"):
        sessions.take("default", "more", timeout_secs=60, must_exist=False)
