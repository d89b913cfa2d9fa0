"""HTTP bodies: decoded as they come and encoded as they go, in bounded memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import lz4.frame
import zstandard

from headrace.embedded.warehouse.faults import CANNOT_DECOMPRESS, UNKNOWN_COMPRESSION, Fault

PIECE_BYTES: Final = 2**20
# zstandard has no bound for what one call gives; a call with so little input gives at most ZSTD_PIECE_BYTES.
_ZSTD_INPUT_BYTES: Final = 512
ZSTD_PIECE_BYTES: Final = 16 * 2**20


class Decoder(Protocol):
    """Decompresses a stream in pieces of bounded size (16 MiB for zstd, 1 MiB else): a bomb cannot fill the memory."""

    @property
    def complete(self) -> bool:
        """Whether the stream may end here."""
        ...

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decode to."""
        ...


class Encoder(Protocol):
    """Compresses a stream."""

    def encode(self, data: bytes) -> bytes:
        """Return what is ready after these bytes; it may be nothing."""
        ...

    def finish(self) -> bytes:
        """Return the rest."""
        ...


class _Plain:
    complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if data:
            yield data


class _Bounded:
    """Decompressors with the interface of bz2's (also lzma's and lz4.frame's); members may follow each other."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._open = make()
        self.complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            self.complete = self.complete and not data
            piece = self._open.decompress(data, PIECE_BYTES)
            data = b""
            if piece:
                yield piece
            if self._open.eof:
                data, self._open, self.complete = self._open.unused_data or b"", self._make(), True
                if not data:
                    return
            elif self._open.needs_input:
                return


class _Zlib:
    def __init__(self, window: int) -> None:
        self._window = window
        self._open = zlib.decompressobj(window)
        self.complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            self.complete = False
            piece = self._open.decompress(data, PIECE_BYTES)
            data = self._open.unconsumed_tail
            if piece:
                yield piece
            if self._open.eof:
                data, self._open, self.complete = self._open.unused_data, zlib.decompressobj(self._window), True
            elif not data and len(piece) == PIECE_BYTES:
                yield from self._held_back()

    def _held_back(self) -> Iterator[bytes]:
        while piece := self._open.decompress(b"", PIECE_BYTES):
            yield piece
        self.complete = self._open.eof


class _Zstd:
    def __init__(self) -> None:
        self._open = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
        self.complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        view = memoryview(data)
        for start in range(0, len(view), _ZSTD_INPUT_BYTES):
            rest = bytes(view[start : start + _ZSTD_INPUT_BYTES])
            while rest:
                self.complete = False
                piece = self._open.decompress(rest)
                if piece:
                    yield piece
                rest = self._open.unused_data if self._open.eof else b""
                if self._open.eof:
                    self._open, self.complete = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj(), True


def decoder_for(encoding: str) -> Decoder:
    """Return the decoder of a Content-Encoding; raise Fault 89 for one that is not known."""
    makers: dict[str, Callable[[], Decoder]] = {
        "": _Plain,
        "identity": _Plain,
        "gzip": lambda: _Zlib(31),
        "x-gzip": lambda: _Zlib(31),
        "deflate": lambda: _Zlib(15),
        "zstd": _Zstd,
        "lz4": lambda: _Bounded(lz4.frame.LZ4FrameDecompressor),
        "bz2": lambda: _Bounded(bz2.BZ2Decompressor),
        "xz": lambda: _Bounded(lzma.LZMADecompressor),
    }
    make = makers.get(encoding.strip().lower())
    if make is None:
        raise Fault(
            UNKNOWN_COMPRESSION, f"Unknown compression method: {encoding}; known: {', '.join(filter(None, makers))}"
        )
    return make()


def decode(decoder: Decoder, data: bytes) -> Iterator[bytes]:
    """Yield the pieces of some bytes, one at a time in memory; a stream that is broken is the Fault 271."""
    try:
        yield from decoder.pieces(data)
    except (zlib.error, RuntimeError, OSError, EOFError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise Fault(CANNOT_DECOMPRESS, f"Cannot decompress the body: {error}") from error


class _ZlibEncoder:
    def __init__(self, window: int) -> None:
        self._open = zlib.compressobj(3, zlib.DEFLATED, window)

    def encode(self, data: bytes) -> bytes:
        return self._open.compress(data)

    def finish(self) -> bytes:
        return self._open.flush()


class _ZstdEncoder:
    def __init__(self) -> None:
        self._open = zstandard.ZstdCompressor(level=1).compressobj()

    def encode(self, data: bytes) -> bytes:
        return self._open.compress(data)

    def finish(self) -> bytes:
        return self._open.flush()


class _Lz4Encoder:
    def __init__(self) -> None:
        self._open = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def encode(self, data: bytes) -> bytes:
        return self._begin() + bytes(self._open.compress(data))

    def finish(self) -> bytes:
        return self._begin() + bytes(self._open.flush())

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return bytes(self._open.begin())


class _PlainEncoder:
    def encode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


_ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {
    "lz4": _Lz4Encoder,
    "zstd": _ZstdEncoder,
    "gzip": lambda: _ZlibEncoder(31),
    "deflate": lambda: _ZlibEncoder(15),
}


def choose_encoding(accepted: str) -> str:
    """Return the cheapest encoding that an Accept-Encoding header names; empty: none.

    >>> choose_encoding("gzip, zstd;q=0.5, lz4;q=0"), choose_encoding("br")
    ('zstd', '')
    """
    names = set()
    for part in accepted.lower().split(","):
        name, _, rest = part.strip().partition(";")
        if rest.replace(" ", "") not in {"q=0", "q=0.0"}:
            names.add(name.strip())
    return next((name for name in _ENCODERS if name in names), "")


def encoder_for(encoding: str) -> Encoder:
    """Return the encoder of an encoding that choose_encoding gave."""
    return _ENCODERS[encoding]() if encoding else _PlainEncoder()
