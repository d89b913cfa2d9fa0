"""Where the records of a text file begin and end, found in columns over a window of the file.

The rules, for a record that begins at s (LIMIT is 1 MiB):

- CRLF, LF and CR each end a line. A quote opens a quoted field only as the first character of a field; inside, a
  doubled quote is a quote, and delimiters and line ends are text. Any other quote is an ordinary character.
- A closing quote stands before a delimiter, a line end or the end of the file. If it does not, the quoting is broken
  (STRAY_QUOTE): the record ends with the line in which its broken field opened, and the next line is read afresh.
- A quote still open LIMIT bytes after s is broken too (UNTERMINATED_QUOTE) and ends in the same way; only when the file
  ends before that, all from s to the end is one record, which cannot be framed.
- A record longer than LIMIT is TOO_LARGE and ends at the first line end after s + LIMIT, whatever stands there.

So a record's end follows from the bytes s to s + LIMIT + 1 alone: a read that goes on at any record boundary, in
windows of any size, finds the same records, and one bad quote costs one line, not the rest of the file.

Positions are in code units (bytes of UTF-8, pairs of bytes of UTF-16), so the same code frames both.
"""

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.core.vocabulary import Reason

Units = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
LINE_FEED, CARRIAGE_RETURN, SPACE, QUOTE = 10, 13, 32, 34


@dataclass(frozen=True)
class Framed:
    """The records of one window, blank lines left out.

    Record i is `starts[i]` to `ends[i]` without its line end; the next line begins at `after[i]`, and `widths[i]` is
    its number of fields. `broken` says what is wrong with a record, by index; `literal` are the records with quotes
    that are ordinary characters. `consumed` is where the next window has to begin. `open_ended` is set when the record
    that begins there is TOO_LARGE and its end is beyond the window. `unframed` is set when the last record is what
    could not be framed to the end of the file.
    """

    starts: Positions
    ends: Positions
    after: Positions
    widths: Positions
    consumed: int
    broken: dict[int, tuple[Reason, str]] = field(default_factory=dict)
    literal: frozenset[int] = frozenset()
    open_ended: bool = False
    unframed: bool = False


@dataclass
class _Quoting:
    """What a walk over the quotes found: quoted sections, odd quotes, broken records, and where it had to stop."""

    sections: list[int] = field(default_factory=list)
    literal: list[int] = field(default_factory=list)
    broken: list[tuple[int, Reason, str]] = field(default_factory=list)
    stop: int | None = None
    open_ended: bool = False
    unframed: bool = False


def frame_window(window: Units, delimiter: int | None, *, at_end: bool, limit: int) -> Framed:
    """Return the whole records in a window that begins at a record boundary.

    `delimiter` None means lines without quoting (NDJSON). `at_end` says that the file ends with the window. A record
    whose end is not in the window is left to the next one, which begins with it; a window of more than `limit` + 2
    units therefore always gets further. Never blocks.
    """
    lines, after = _line_ends(window, at_end)
    marks: npt.NDArray[np.intp] | list[int] = []
    quoting = _Quoting()
    if delimiter is not None:
        quotes = np.flatnonzero(window == QUOTE)
        if len(quotes):
            marks = quotes
            if not _regular(window, quotes, delimiter, at_end) or _oversize(window, lines, after, marks, at_end, limit):
                quoting = _Walk(window, _plain(quotes), _plain(lines), _plain(after), delimiter, at_end, limit).run()
                marks = quoting.sections
    inside = _inside(window, marks)
    outside = np.ones(len(lines), np.bool_) if inside is None else inside[lines] == 0
    if quoting.stop is not None:
        outside &= lines < quoting.stop
    return _records(window, lines[outside], after[outside], inside, quoting, delimiter, at_end, limit)


def _line_ends(window: Units, at_end: bool) -> tuple[Positions, Positions]:
    """Return where lines end and where the next ones begin; CRLF is one line end."""
    ends = window == LINE_FEED
    returns = window == CARRIAGE_RETURN
    if not returns.any():
        lines = np.flatnonzero(ends)
        return lines, lines + 1
    second = np.zeros(len(window), np.bool_)
    second[1:] = ends[1:] & returns[:-1]
    lines = np.flatnonzero((ends | returns) & ~second)
    after = lines + 1
    followed = after < len(window)
    after[followed] += second[after[followed]]
    if not at_end and len(lines) and lines[-1] == len(window) - 1 and returns[-1]:
        return lines[:-1], after[:-1]  # a line feed may follow
    return lines, after


def _regular(window: Units, quotes: npt.NDArray[np.intp], delimiter: int, at_end: bool) -> bool:
    """Return True if counting quotes gives the quoted sections: each opens a field, or ends one, or is doubled."""
    openers, closers = quotes[0::2], quotes[1::2]
    if len(openers) > len(closers) and at_end:
        return False
    before = window[openers[openers > 0] - 1]
    behind = window[closers[closers < len(window) - 1] + 1]
    return _bounding(before, delimiter) and _bounding(behind, delimiter)


def _bounding(units: Units, delimiter: int) -> bool:
    fits = (units == delimiter) | (units == QUOTE) | (units == LINE_FEED) | (units == CARRIAGE_RETURN)
    return bool(fits.all())


def _inside(window: Units, marks: npt.NDArray[np.intp] | list[int]) -> npt.NDArray[np.uint8] | None:
    """Return 1 for each unit within a quoted section, None without any: sections open and close at `marks` in turn."""
    if not len(marks):
        return None
    flips = np.zeros(len(window), np.uint8)
    flips[marks] = 1
    return np.bitwise_xor.accumulate(flips)


def _oversize(
    window: Units, lines: Positions, after: Positions, marks: npt.NDArray[np.intp], at_end: bool, limit: int
) -> bool:
    inside = _inside(window, marks)
    outside = np.ones(len(lines), np.bool_) if inside is None else inside[lines] == 0
    starts = np.concatenate(([0], after[outside]))
    ends = np.append(lines[outside], len(window))
    return bool((ends - starts > limit).any())


def _records(
    window: Units,
    ends: Positions,
    after: Positions,
    inside: npt.NDArray[np.uint8] | None,
    quoting: _Quoting,
    delimiter: int | None,
    at_end: bool,
    limit: int,
) -> Framed:
    size = len(window)
    starts = np.concatenate((np.zeros(1, np.int64), after))
    tail = int(starts[-1])
    open_ended = quoting.open_ended or (quoting.stop is None and not at_end and size - tail > limit + 1)
    if at_end and tail < size and not open_ended:
        ends, after, tail = np.append(ends, size), np.append(after, size), size
    else:
        starts = starts[:-1]
    filled = ends > starts
    if delimiter is None:
        filled &= ~_white(window, starts, ends)
    starts, ends, after = starts[filled], ends[filled], after[filled]
    widths = _widths(window, starts, ends, inside, delimiter)
    broken = {
        int(index): (Reason.TOO_LARGE, too_large(int(ends[index] - starts[index]) * window.itemsize))
        for index in np.flatnonzero(ends - starts > limit)
    }
    for position, reason, detail in quoting.broken:
        if position < tail:
            broken.setdefault(int(np.searchsorted(starts, position, "right")) - 1, (reason, detail))
    literal = np.asarray([place for place in quoting.literal if place < tail], np.int64)
    odd = frozenset((np.searchsorted(starts, literal, "right") - 1).tolist())
    return Framed(starts, ends, after, widths, tail, broken, odd, open_ended, quoting.unframed)


def _white(window: Units, starts: Positions, ends: Positions) -> Flags:
    """Return which lines hold only spaces and tabs: in NDJSON they are blank, in CSV a row of one field."""
    white = np.zeros(len(starts), np.bool_)
    for index in np.flatnonzero((window[np.minimum(starts, len(window) - 1)] <= SPACE) & (ends > starts)).tolist():
        white[index] = not window[starts[index] : ends[index]].tobytes().strip(b" \t")
    return white


def _widths(
    window: Units, starts: Positions, ends: Positions, inside: npt.NDArray[np.uint8] | None, delimiter: int | None
) -> Positions:
    """Return the number of fields in each record: delimiters outside quotes, and one."""
    if delimiter is None or not len(starts):
        return np.ones(len(starts), np.int64)
    separators = window == delimiter
    if inside is not None:
        separators &= inside == 0
    # line ends and blank lines between the records hold no delimiter, so a record's sum may run to the next start
    counts = np.add.reduceat(separators.view(np.uint8)[: int(ends[-1])], starts, dtype=np.int64)
    return np.asarray(counts + 1, np.int64)


def _plain(positions: Positions | npt.NDArray[np.intp]) -> "array[int]":
    """Return positions as an array of plain ints: quick to read one by one, at a quarter of a list's memory."""
    plain = array("q")
    plain.frombytes(positions.astype(np.int64).tobytes())
    return plain


def too_large(size: int) -> str:
    """Return what a TOO_LARGE record's detail says."""
    return f"the record has {size:,} bytes"


class _Walk:
    """The rules quote by quote, for a window that has quotes which do not simply open and close fields.

    Costs about 1 microsecond a quote, and nothing for the bytes between.
    """

    def __init__(
        self,
        window: Units,
        quotes: "array[int]",
        lines: "array[int]",
        after: "array[int]",
        delimiter: int,
        at_end: bool,
        limit: int,
    ) -> None:
        self.window, self.quotes, self.lines, self.after = window, quotes, lines, after
        self.delimiter, self.at_end, self.limit = delimiter, at_end, limit
        self.found = _Quoting()
        self.start = 0  # of the record that the quote at hand belongs to
        self.covered = -1  # line ends up to here belong to quoted sections or ended records

    def run(self) -> _Quoting:
        """Return the quoted sections and what is wrong with the others."""
        place: int | None = 0
        while place is not None and place < len(self.quotes):
            place = self._step(place)
        return self.found

    def _step(self, place: int) -> int | None:
        """Deal with the quote at `place` outside any section; return the place to go on with, None to stop."""
        opener = self.quotes[place]
        line = bisect_left(self.lines, opener) - 1
        if line >= 0 and self.lines[line] > self.covered:
            self.start = self.after[line]
        if opener - self.start > self.limit:
            return self._end_record(self.start, self.start + self.limit, Reason.TOO_LARGE, "")
        if opener != self.start and self.window[opener - 1] != self.delimiter:
            self.found.literal.append(opener)
            return place + 1
        close = self._close(place + 1)
        if close is None:
            return self._unclosed(opener)
        end = self.quotes[close]
        if end + 1 >= len(self.window):
            if self.at_end:
                self.found.sections += (opener, end)
            else:
                self.found.stop = self.start
            return None
        if self.window[end + 1] not in {self.delimiter, LINE_FEED, CARRIAGE_RETURN}:
            seen = chr(int(self.window[end + 1]))
            detail = f"a quoted field is followed by {seen!a}, not by a delimiter or the line's end"
            return self._end_record(opener, opener, Reason.STRAY_QUOTE, detail)
        self.found.sections += (opener, end)
        self.covered = end
        return close + 1

    def _close(self, place: int) -> int | None:
        """Return the place of the quote that ends a section, or None if there is none within the limit."""
        quotes, horizon = self.quotes, self.start + self.limit
        while place < len(quotes) and quotes[place] < horizon:
            if place + 1 < len(quotes) and quotes[place + 1] == quotes[place] + 1:
                place += 2
            else:
                return place
        return None

    def _unclosed(self, opener: int) -> int | None:
        size = len(self.window) - self.start
        if size > self.limit + (0 if self.at_end else 1):
            return self._end_record(
                opener,
                opener,
                Reason.UNTERMINATED_QUOTE,
                f"a quote is not closed within {self.limit * self.window.itemsize:,} bytes",
            )
        self.found.stop = self.start
        if self.at_end:
            self.found.unframed = True
            detail = f"a quote is not closed to the end of the file, {size * self.window.itemsize:,} bytes on"
            self.found.broken.append((self.start, Reason.UNTERMINATED_QUOTE, detail))
        return None

    def _end_record(self, position: int, beyond: int, reason: Reason, detail: str) -> int | None:
        """End the record at the first line end after `beyond`, and note what is wrong with it."""
        line = bisect_right(self.lines, beyond)
        horizon = self.start + self.limit
        if line < len(self.lines):
            if self.lines[line] <= horizon:
                self.found.broken.append((position, reason, detail))
            self.covered = self.lines[line] - 1
            return bisect_left(self.quotes, self.after[line])
        self.found.stop = self.start
        self.found.open_ended = not self.at_end and len(self.window) - self.start > self.limit + 1
        if self.at_end:
            self.found.broken.append((position, reason, detail))
        return None
