"""What to change in collecting or processing: rules from a finding and its evidence to a piece of advice. Pure.

Each rule names the symptom, the likely cause, the action and what following it would win; all figures are measured. A
finding may call for several; one that no rule understands calls for none, and says so by silence.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from headrace.stream_processors.steps.advice import Advice, ranked
from headrace.stream_processors.steps.segments import Segment

MISSING_CHECKS = frozenset({"null_rate", "missing_rate", "conditional_required", "complete_rows"})
TIME_PARTS = frozenset({"date", "hour_of_day", "weekday"})
TOGETHER_SHARE = 0.95
CONCENTRATED_LIFT = 3.0


@dataclass(frozen=True)
class Finding:
    """A rule that fails, with what was found out about it.

    `segments` are where it is concentrated, strongest first (steps/segments.py). `together` maps other fields to the
    share of the concerned rows in which they are missing too, `unexplained` are the segments of those in which the
    field alone is missing. `elsewhere` says what other datasets show on the same days. `unseen` are values that were
    not `known` before. `figures` are sentences on what was measured beside. `meaning` is what the contract says a
    missing value means, "" for nothing. `loss` is what the rule costs of the score, in points; `query` is the evidence
    as SQL for a person.
    """

    dataset: str
    rule: str
    check: str
    field: str = ""
    observed: float | None = None
    unit: str = ""
    rows: int = 0
    rows_at_risk: int = 0
    segments: Sequence[Segment] = ()
    together: Mapping[str, float] = dataclasses.field(default_factory=dict)
    unexplained: Sequence[Segment] = ()
    elsewhere: Sequence[str] = ()
    unseen: Sequence[str] = ()
    known: Sequence[str] = ()
    figures: Sequence[str] = ()
    meaning: str = ""
    fix_hint: str = ""
    loss: float = 0.0
    detail: str = ""
    query: str = ""


def advise(finding: Finding) -> list[Advice]:
    """Return the advice that a finding calls for, by rows at risk x gain x confidence; empty for none."""
    return ranked(advice for rule in RULES for advice in rule(finding))


def _advice(finding: Finding, symptom: str, segment: str, evidence: Sequence[str], cause: str, action: str) -> Advice:
    if finding.fix_hint:
        action = f"{action} The contract adds: {finding.fix_hint}"
    shown = tuple(text for text in (finding.detail, *evidence, *finding.figures) if text)
    return Advice(
        symptom,
        finding.dataset,
        finding.field,
        segment,
        shown,
        cause,
        action,
        finding.rows_at_risk,
        finding.loss,
        finding.rule,
        finding.query,
    )


def _named(segments: Sequence[Segment], most: int = 3) -> str:
    return "; ".join(
        f"{one.name} ({one.share:.0%} of the cases, {one.lift:.1f} times its share)" for one in segments[:most]
    )


def absent_events(finding: Finding) -> Iterator[Advice]:
    """Values missing together, on certain days: the event did not take place, and nothing in the record says so."""
    times = [one for one in finding.segments if set(one.parts) <= TIME_PARTS]
    partners = absent_with(finding)
    if not partners or not (times or finding.meaning):
        return
    days = days_of(finding.segments)
    meaning = finding.meaning or "the event did not take place"
    evidence = [f"In these rows {', '.join(partners)} {'is' if len(partners) == 1 else 'are'} missing too."]
    if times:
        evidence.append(f"Most on: {_named(times)}.")
    evidence += [f"{text}." for text in finding.elsewhere]
    happened = ""
    if days:
        shows = f", as {' and '.join(text.partition(' on ')[0] for text in finding.elsewhere)} shows"
        event = f"a storm or similar event on these days{shows if finding.elsewhere else ''}"
        happened = f" Most of it was on {spoken_days(days)}: {event}."
    yield _advice(
        finding,
        "absent_events",
        "; ".join(one.name for one in times[:3]),
        evidence,
        f"{finding.field} is empty because {meaning}: it is not a fault of the collector.{happened}",
        f"Collect a status with a reason for rows where {meaning}, and demand {finding.field} of the others only "
        "(check conditional_required); then a real gap shows.",
    )


def absent_with(finding: Finding) -> list[str]:
    """Return the fields that are missing in nearly all rows in which a field is missing."""
    if finding.check not in MISSING_CHECKS:
        return []
    return sorted(name for name, share in finding.together.items() if share >= TOGETHER_SHARE)


def days_of(segments: Sequence[Segment]) -> list[str]:
    """Return the days that are segments of their own, in their order."""
    return sorted(one.parts["date"] for one in segments if set(one.parts) == {"date"})


def spoken_days(days: Sequence[str]) -> str:
    """Return days as a person says them.

    >>> spoken_days(["2013-02-08", "2013-02-09", "2013-03-06"])
    '8 and 9 February 2013 and 6 March 2013'
    """
    months: dict[str, list[str]] = {}
    for one in map(date.fromisoformat, days):
        months.setdefault(f"{one:%B %Y}", []).append(str(one.day))
    return _joined([f"{_joined(numbers)} {month}" for month, numbers in months.items()])


def _joined(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def concentrated_nulls(finding: Finding) -> Iterator[Advice]:
    """Missing values that one source, form or category holds, and that no absent event explains."""
    explained = bool(list(absent_events(finding)))
    found = finding.unexplained if explained else finding.segments
    places = [one for one in found if not set(one.parts) <= TIME_PARTS and one.lift >= CONCENTRATED_LIFT]
    if finding.check in MISSING_CHECKS and places:
        source = source_of(places[0])
        told = dataclasses.replace(finding, rows_at_risk=places[0].rows) if explained else finding
        yield _advice(
            told,
            "concentrated_nulls",
            source,
            [f"Worst: {_named(places)}."],
            "A setting of the collector or form at that source lets the field be empty.",
            f"Make {finding.field or 'the field'} mandatory at {source}.",
        )


def source_of(place: Segment) -> str:
    """Return a segment's name without the day or hour on which it was seen: these are no source."""
    if not set(place.parts) & TIME_PARTS:
        return place.name
    return ", ".join(
        f"{column.lstrip('_')}={value}" for column, value in place.parts.items() if column not in TIME_PARTS
    )


def near_categories(finding: Finding) -> Iterator[Advice]:
    """Unseen values that are spelled almost like known ones."""
    pairs = [(value, near) for value in finding.unseen[:200] if (near := nearest(value, finding.known))]
    if pairs:
        listed = ", ".join(f'"{value}" for "{near}"' for value, near in pairs[:10])
        yield _advice(
            finding,
            "near_categories",
            "values that are new",
            [f"Likely spellings of known values: {listed}."],
            f"{finding.field} is typed as free text.",
            "Offer a pick-list where it is entered, and map these pairs at ingest.",
        )


def nearest(value: str, known: Sequence[str]) -> str:
    """Return the known value that another is likely to mean, by edit distance 2 (1 of up to 4 letters), "" for none."""
    best = min(known, key=lambda other: (_edits(value.casefold(), other.casefold()), other), default="")
    limit = 2 if len(value) > 4 else 1
    return best if best and _edits(value.casefold(), best.casefold()) <= limit else ""


def _edits(left: str, right: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(right) + 1))
    for number, letter in enumerate(left, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(right, 1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (letter != other))
    return row[-1]


# check -> (symptom, cause, action); {place} is where it is concentrated.
_PLAIN: Mapping[str, tuple[str, str, str]] = {
    "replayed_file": (
        "replayed_file",
        "The same content was delivered twice.",
        "Give files names that follow from their content or period, and send a manifest with each delivery.",
    ),
    "duplicate_key": (
        "duplicate_keys",
        "Records were sent again, or the key is not one.",
        "Make the sender idempotent (one record a key), or correct the key in the contract.",
    ),
    "late_rate": (
        "late_records",
        "Records are uploaded in bursts{place}.",
        "Upload more often, or raise allowedLateness to what the schedule needs.",
    ),
    "arrival_delay": (
        "slow_delivery",
        "Delivery takes longer than agreed{place}.",
        "Shorten the interval between collecting and delivering.",
    ),
    "out_of_order": (
        "clock_drift",
        "Clocks of the sources differ, or they buffer{place}.",
        "Synchronise the clocks (NTP) and send in the order of events.",
    ),
    "future_time": (
        "time_zone",
        "A clock is ahead, or a local time is written without its zone{place}.",
        "Send UTC with its offset; correct the clock{place}.",
    ),
    "unit_shift": (
        "unit_shift",
        "The values come in another unit than before{place}.",
        "Put the unit into the contract and convert where the file is written.",
    ),
    "stuck_value": (
        "stuck_sensor",
        "A source repeats its last value{place}.",
        "Open a maintenance ticket for the sources listed; send nothing rather than a stale value.",
    ),
    "dominance_heaping": (
        "rounded_by_hand",
        "Values are rounded or defaulted by hand{place}.",
        "Take the value from the instrument, or record its precision.",
    ),
    "parse_errors": (
        "release_regression",
        "A version of the producer writes another format{place}.",
        "Check files against the contract in the producer's own build, and roll that version back.",
    ),
    "segment_coverage": (
        "under_sampled",
        "Some expected segments have too few records.",
        "Collect more from the segments named.",
    ),
    "silent_source": ("silent_source", "A source has stopped sending.", "Ask its owner; restart its upload."),
    "anomaly_share": (
        "anomalous_records",
        "Records are unlike what came before{place}: an event, or an instrument that fails.",
        "Look at the rows named; if the instrument is sound, record the event that explains them.",
    ),
    "model_drift": (
        "model_drift",
        "What the model learned holds less{place}: the process changed, or a feature is wrong there.",
        "Compare the rows named with earlier ones; headrace learn status shows which model leads now.",
    ),
    "pii_leak": (
        "personal_data",
        "People's data is in a field that does not say so.",
        "Tag the field pii and mask it at the source, or stop collecting it.",
    ),
}


def plain(finding: Finding) -> Iterator[Advice]:
    """Checks whose finding has one usual cause."""
    if known := _PLAIN.get(finding.check):
        symptom, cause, action = known
        place = f" at {finding.segments[0].name}" if finding.segments else ""
        evidence = [f"Most at: {_named(finding.segments)}."] if finding.segments else []
        segment = finding.segments[0].name if finding.segments else ""
        yield _advice(finding, symptom, segment, evidence, cause.format(place=place), action.format(place=place))


Rule = Callable[[Finding], Iterator[Advice]]
RULES: tuple[Rule, ...] = (absent_events, concentrated_nulls, near_categories, plain)
