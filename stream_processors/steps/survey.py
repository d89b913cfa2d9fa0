"""What stored values themselves say about how they are collected: rules of advice that no alert has to ask for. Pure.

Each rule looks at figures of one field and is silent without evidence in them, whatever the field is called.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from headrace.stream_processors.steps.advice import Advice, needed_rows, ranked
from headrace.stream_processors.steps.advise import nearest
from headrace.stream_processors.steps.survey_sources import by_version

LEAST_ROWS: Final = 1_000
_LEAST_CASES, _LEAST_TIMES = 5, 20
_FEW_VALUES, _HALF_WIDTH = 50, 0.1
SENTINELS = frozenset(
    "-1 -99 -999 -9999 9999 99999 N/A NA n/a null NULL none None ? - unknown 1900-01-01 1970-01-01 0000-00-00".split()
)
_DIGIT = re.compile(r"\d")
_DATES: Final = frozenset({"1900-01-01", "1970-01-01", "0000-00-00", "9999-12-31"})
# In whole numbers without preference every fifth ends in 0 or 5.
_EVEN_SHARE, _HEAPED_SHARE, _HEAPED_VALUES = 0.2, 0.4, 30
_WHOLE_SHARE, _ALL = (0.5, 0.999), 0.999
_SELDOM = 0.01
_PERSONAL_SHARE = 0.01


@dataclass(frozen=True)
class Facts:
    """Figures of one field's stored values. `top` has the most frequent ones; `queries` the evidence by kind of figure.

    `low` and `high` are the quantiles 5 % and 95 % of numbers, `whole` how many are whole, `fives` how many of these
    are multiples of 5. `personal` counts the hits of each detector of personal data.
    """

    dataset: str
    field: str
    rows: int
    missing: int
    distinct: int
    top: Sequence[tuple[str, int]] = ()
    number: bool = False
    text: bool = False
    low: float = 0.0
    high: float = 0.0
    negative: int = 0
    whole: int = 0
    fives: int = 0
    personal: Sequence[tuple[str, int]] = ()
    queries: Sequence[tuple[str, str]] = ()

    @property
    def present(self) -> int:
        """Return the number of values."""
        return self.rows - self.missing

    def query(self, kind: str) -> str:
        """Return the evidence of a kind as SQL, "" if there is none."""
        return dict(self.queries).get(kind, "")


def survey(facts: Facts) -> list[Advice]:
    """Return the advice that a field's values call for, ranked; empty for none."""
    return ranked(advice for rule in RULES for advice in rule(facts))


def _advice(
    facts: Facts, symptom: str, evidence: str, cause: str, action: str, *, rows: int, query: str, segment: str = ""
) -> Advice:
    return Advice(
        symptom, facts.dataset, facts.field, segment, (evidence,), cause, action, rows, 0.0, query=facts.query(query)
    )


def stored_sentinels(facts: Facts) -> Iterator[Advice]:
    """Stand-ins for missing values among the most frequent ones; of numbers only those far from all others."""
    found = [(value, count) for value, count in facts.top if count >= _LEAST_CASES and _stands_in(facts, value, count)]
    if found:
        listed = ", ".join(f'"{value}" {count:,} times' for value, count in found[:5])
        yield _advice(
            facts,
            "sentinels",
            f"{facts.field} has {listed}.",
            "The tool that writes the file cannot leave a value empty.",
            f"Allow {facts.field} to be empty at the source, and name these values in headrace.nullValues.",
            rows=sum(count for _, count in found),
            query="values",
        )


def _stands_in(facts: Facts, value: str, count: int) -> bool:
    if not facts.number:
        return value in SENTINELS or value[:10] in _DATES
    if value not in SENTINELS and set(value.lstrip("-")) != {"9"}:
        return False
    number, spread = float(value), facts.high - facts.low
    only_negative = number < 0 and facts.negative == count and count < facts.present
    beyond = number < facts.low - spread or number > facts.high + spread
    return only_negative or (len(value.lstrip("-")) > 1 and beyond)


def heaping(facts: Facts) -> Iterator[Advice]:
    """Whole numbers that end in 0 or 5 twice as often as they would by chance, or decimals that are whole too often."""
    if not facts.number or facts.present < LEAST_ROWS or facts.distinct < _HEAPED_VALUES:
        return
    if facts.whole >= _ALL * facts.present:
        share = facts.fives / facts.whole
        if share < _HEAPED_SHARE:
            return
        said = (
            f"{share:.0%} of {facts.whole:,} values of {facts.field} end in 0 or 5; by chance {_EVEN_SHARE:.0%} would."
        )
    else:
        # No rain is no rounded rain: zeros say nothing of the precision.
        zeros = sum(count for value, count in facts.top if float(value) == 0)
        share = (facts.whole - zeros) / max(facts.present - zeros, 1)
        if not _WHOLE_SHARE[0] <= share < _WHOLE_SHARE[1]:
            return
        others = facts.present - zeros
        said = f"{share:.0%} of {others:,} values of {facts.field} other than 0 are whole, the others have decimals."
    yield _advice(
        facts,
        "digit_heaping",
        said,
        "The values are rounded by hand or by a schedule, or the instrument is no finer.",
        f"Take {facts.field} from the instrument as it is, or write its precision into the contract.",
        rows=round(share * facts.present),
        query="endings",
    )


def constant(facts: Facts) -> Iterator[Advice]:
    """A column that always says the same, or next to never anything."""
    if facts.rows < LEAST_ROWS:
        return
    if facts.present <= _SELDOM * facts.rows:
        yield _advice(
            facts,
            "absent_field",
            f"{facts.field} is missing in {facts.missing:,} of {facts.rows:,} rows.",
            "Nobody fills it in, or the source has no such value.",
            f"Stop collecting {facts.field}, or make it mandatory where it is known.",
            rows=facts.missing,
            query="missing",
        )
    elif facts.distinct == 1 and not facts.missing:
        value = facts.top[0][0] if facts.top else "hidden"
        yield _advice(
            facts,
            "constant_field",
            f"{facts.field} is {value} in all of {facts.rows:,} rows.",
            "It is collected out of habit, or it belongs to the file and not to the record.",
            f"Stop collecting {facts.field}, or keep it once a file.",
            rows=facts.rows,
            query="values",
        )


def near_misses(facts: Facts) -> Iterator[Advice]:
    """Texts that differ from others in case or spaces only, or by a letter or two from ones 20 times as frequent."""
    if not facts.text or not facts.top or facts.distinct > len(facts.top):
        return
    same, close = list(_same_words(facts.top)), list(_close(facts.top))
    for symptom, pairs, what in (
        ("spelling_variants", same, "differ in case or spaces only"),
        ("near_categories", close, "are a letter or two from a value 20 times as frequent"),
        ("name_variants", list(_longer_names(facts.top)), "begin with another value's words"),
    ):
        if pairs:
            listed = ", ".join(f'"{value}" for "{near}"' for value, near, _ in pairs[:10])
            yield _advice(
                facts,
                symptom,
                f"Values of {facts.field} that {what}: {listed}.",
                f"{facts.field} is typed as free text, or sources name the same thing differently.",
                "Offer a pick-list where it is entered, and map these pairs at ingest once checked.",
                rows=sum(count for *_, count in pairs),
                query="values",
            )


def _plain_words(text: str) -> str:
    return " ".join(text.split()).casefold()


def _same_words(top: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str, int]]:
    first: dict[str, str] = {}
    for value, count in top:
        near = first.setdefault(_plain_words(value), value)
        if near != value:
            yield value, near, count


def _close(top: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str, int]]:
    words = [(value, count) for value, count in top if len(value) > 4 and not _DIGIT.search(value)]
    for value, count in words:
        known = [other for other, times in words if times >= _LEAST_TIMES * count]
        near = nearest(value, known)
        if near and _plain_words(near) != _plain_words(value):
            yield value, near, count


def _longer_names(top: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str, int]]:
    known = {value for value, count in top if count >= _LEAST_CASES and len(value) > 4 and not _DIGIT.search(value)}
    for value, count in top:
        words = value.split(" ")
        shorter = next((" ".join(words[:n]) for n in range(1, len(words)) if " ".join(words[:n]) in known), "")
        if shorter and value in known:
            yield value, shorter, count


def thin_segments(facts: Facts) -> Iterator[Advice]:
    """Categories with too few rows for any rate of them to be known within 10 points."""
    if not facts.text or facts.rows < LEAST_ROWS or not 1 < facts.distinct <= _FEW_VALUES:
        return
    thin = [(value, count, more) for value, count in facts.top if (more := needed_rows(0.5, _HALF_WIDTH, count))]
    if thin:
        listed = ", ".join(f"{value} has {count:,} and needs {more:,} more" for value, count, more in thin[-5:])
        yield _advice(
            facts,
            "under_sampled",
            f"{len(thin)} of {facts.distinct} values of {facts.field} are too rare: {listed}.",
            "These are sampled as the others are, though they are rare.",
            "Collect that many more of each before a rate of it is told, or tell it with its interval only.",
            rows=sum(count for _, count, _ in thin),
            query="values",
        )


def personal_data(facts: Facts) -> Iterator[Advice]:
    """Addresses, numbers and the like in a field that is not tagged pii; counted, never shown."""
    found = [
        (name, hits) for name, hits in facts.personal if hits >= max(_LEAST_CASES, _PERSONAL_SHARE * facts.present)
    ]
    if found:
        listed = ", ".join(f"{name.replace('_', ' ')} in {hits:,} of {facts.present:,} values" for name, hits in found)
        yield _advice(
            facts,
            "personal_data",
            f"{facts.field} holds {listed}.",
            "People's data is in a field that does not say so.",
            f"Tag {facts.field} pii and mask it at the source, or stop collecting it.",
            rows=max(hits for _, hits in found),
            query=found[0][0],
        )


RULES: tuple[Callable[[Facts], Iterator[Advice]], ...] = (
    stored_sentinels,
    heaping,
    constant,
    near_misses,
    thin_segments,
    personal_data,
)


def copies(dataset: str, found: Sequence[tuple[str, str]], query: str) -> list[Advice]:
    """Return the advice on files whose bytes came in before; `found` are (name, first name)."""
    if not found:
        return []
    came, was = ("1 file came", "was") if len(found) == 1 else (f"{len(found)} files came", "were")
    listed = ", ".join(f"{name} (first {first or 'under the same name'})" for name, first in found[:5])
    return [
        Advice(
            "replayed_file", dataset, "", "", (f"{came} twice and {was} skipped: {listed}.",),
            "The same content was delivered twice.",
            "Give files names that follow from their content or period, and send a manifest with each delivery.",
            len(found), 0.0, query=query,
        )
    ]  # fmt: skip


def unread(dataset: str, found: Sequence[tuple[str, int, int]], query: str) -> list[Advice]:
    """Return the advice on files with rows that could not be parsed; `found` are (name, bad, all), worst first.

    Where the files' names have versions and one of them stands out, it is named, else the worst file.
    """
    bad_files = [one for one in found if one[1]]
    if not bad_files:
        return []
    listed = ", ".join(f"{name} {bad:,} of {rows:,} rows" for name, bad, rows in bad_files[:5])
    segment, said = by_version(found)
    return [
        Advice(
            "release_regression", dataset, "", segment or f"file={bad_files[0][0]}",
            (f"Could not be parsed: {listed}.", *filter(None, (said,))),
            "A version of the producer writes another format in these files.",
            "Check files against the contract in the producer's own build, and roll that version back.",
            sum(bad for _, bad, _ in bad_files), 0.0, query=query,
        )
    ]  # fmt: skip
