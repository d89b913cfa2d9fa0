"""What is wrong with the line itself: from observations to findings. Pure: no clock, no I/O.

A cause has one alert: a stage that does no work because the one before it is stalled is passed over, and a stage
without reports is not said to be stalled a second time.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

from headrace.core.vocabulary import Severity


class PlatformRule(StrEnum):
    """The alerts that the platform raises about itself."""

    STAGE_STALLED = "stage_stalled"
    STAGE_SILENT = "stage_silent"
    SINK_FAILING = "sink_failing"
    LAG_GROWING = "lag_growing"
    CRASH_LOOP = "crash_loop"
    DISK_FLOOR = "disk_floor"
    FOLDER_SILENT = "folder_silent"


@dataclass(frozen=True)
class Limits:
    """The settings of the rules: seconds, messages, bytes."""

    stalled_secs: float
    lag_messages: int
    lag_secs: float
    restarts: int
    restart_secs: float
    disk_floor_bytes: int
    folder_secs: float


@dataclass(frozen=True)
class StageSeen:
    """A stage's own report. `told` changes with every report; `lag` is -1 while it is not known."""

    told: int
    rows: int
    lag: int
    halted: bool = False


@dataclass(frozen=True)
class ProcessSeen:
    """A process as the supervisor sees it."""

    running: bool
    failed: bool
    restarts: int
    error: str


@dataclass(frozen=True)
class Observation:
    """One look at the line. `arrivals` is when a file of a dataset came last; `checked` have a check of silence."""

    at: float
    stages: Mapping[str, StageSeen]
    processes: Mapping[str, ProcessSeen]
    disk_free: int
    arrivals: Mapping[str, float]
    checked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StageTrack:
    """What is remembered of a stage: when it last told, moved rows, had nothing to do; and samples of its lag."""

    seen: StageSeen
    told_at: float
    moved_at: float
    free_at: float
    lags: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class ProcessTrack:
    """What is remembered of a process: how often it was started again when last seen, and when."""

    restarts: int
    starts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Memory:
    """What is remembered between two observations."""

    at: float = 0.0
    stages: Mapping[str, StageTrack] = field(default_factory=dict)
    processes: Mapping[str, ProcessTrack] = field(default_factory=dict)
    arrivals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now. `place` is the process or dataset, "" for the whole home."""

    rule: PlatformRule
    place: str
    severity: Severity
    observed: float
    bound: float
    unit: str
    message: str
    hint: str


# Who must move rows before a stage has any. The others read what the judge wrote.
UPSTREAM = {"judge": "watcher", "sink": "judge", "receipts": "sink", "quality": "judge"}
_ON_THE_RECORD_PATH = ("watcher", "judge", "sink", "receipts", "quality")
_MESSAGES = ("judge", "sink", "quality")
_SUPERVISOR = "supervisor"
# Beside the record path a stage may wait for files on their way, or for its turn on a busy machine.
_PATIENCE = 10
# Longer between two looks, and nobody looked: the machine slept, or the monitor was away.
_GAP_SECS = 60.0
_SAMPLES = 12
_ARRIVALS, _REGULAR_GAPS, _REGULAR, _OVERDUE = 16, 5, 3.0, 3.0
_CLEAR_OF_FLOOR = 1.1


def look(
    memory: Memory, seen: Observation, limits: Limits, opened: frozenset[tuple[str, str]]
) -> tuple[Memory, list[Finding]]:
    """Return what is remembered now and what is wrong now. `opened` are rule and place of what was wrong before.

    >>> limits = Limits(60, 1000, 300, 3, 600, 10**9, 900)
    >>> [one.rule.value for one in look(Memory(), Observation(0, {}, {}, 5, {}), limits, frozenset())[1]]
    ['disk_floor']
    """
    after = _remember(memory, seen, limits)
    stalled, held = _stages(after, seen, limits)
    # What waits for a stage that stands still has its own time from the moment that one goes on.
    excused = {
        name: replace(track, free_at=seen.at) if UPSTREAM.get(name) in held else track
        for name, track in after.stages.items()
    }
    after = replace(after, stages=excused)
    found = [
        *stalled,
        *_lags(after, seen, limits, opened),
        *_crashes(after, seen, limits),
        *_disk(seen, limits, opened),
        *_folders(after, seen, limits),
    ]
    return after, found


def _remember(memory: Memory, seen: Observation, limits: Limits) -> Memory:
    known = memory.stages if seen.at - memory.at <= _GAP_SECS else {}
    stages = {name: _track(known.get(name), one, seen.at, limits) for name, one in seen.stages.items()}
    processes = {}
    for name, process in seen.processes.items():
        # At the first look what was before is not known: only what comes from now on counts.
        before = memory.processes.get(name) or ProcessTrack(process.restarts)
        new = process.restarts - before.restarts if process.restarts >= before.restarts else process.restarts
        starts = (*before.starts, *[seen.at] * min(new, limits.restarts))
        kept = tuple(at for at in starts if seen.at - at <= limits.restart_secs)
        processes[name] = ProcessTrack(process.restarts, kept[-limits.restarts :])
    arrivals = dict(memory.arrivals)
    for name, at in seen.arrivals.items():
        past = arrivals.get(name, ())
        if not past or at > past[-1]:
            arrivals[name] = (*past, at)[-_ARRIVALS:]
    return Memory(seen.at, stages, processes, arrivals)


def _track(before: StageTrack | None, seen: StageSeen, at: float, limits: Limits) -> StageTrack:
    if before is None:
        return StageTrack(seen, at, at, at, ((at, seen.lag),))
    lags = before.lags
    if at - lags[-1][0] >= limits.lag_secs / _SAMPLES:
        lags = (*lags, (at, seen.lag))[-_SAMPLES - 1 :]
    told = seen.told != before.seen.told
    return StageTrack(
        seen=seen,
        told_at=at if told else before.told_at,
        moved_at=at if seen.rows != before.seen.rows else before.moved_at,
        free_at=at if told and seen.lag <= 0 and not seen.halted else before.free_at,
        lags=lags,
    )


def _stages(memory: Memory, seen: Observation, limits: Limits) -> tuple[list[Finding], set[str]]:
    """Return what is wrong with stages, and those that stand still or wait for one that does."""
    found, held = list[Finding](), set[str]()
    for name, track in sorted(memory.stages.items(), key=lambda one: _order(one[0])):
        process = seen.processes.get(name)
        if name != _SUPERVISOR and (process is None or not process.running):
            held.add(name)  # what is dead or starts is the crash loop's, or will report soon
            continue
        patience = limits.stalled_secs * (1 if name in (*_ON_THE_RECORD_PATH, _SUPERVISOR) else _PATIENCE)
        quiet = seen.at - track.told_at
        upstream = memory.stages.get(UPSTREAM.get(name, ""))
        # What the stage before wrote at the last look or since, and this one has not taken.
        fed = upstream is not None and upstream.moved_at >= track.told_at and upstream.moved_at > track.moved_at
        still = seen.at - max(track.moved_at, track.free_at)
        waits = track.seen.lag > 0 or track.seen.halted or (fed and quiet >= patience)
        if waits and still >= patience and UPSTREAM.get(name) not in held:
            held.add(name)
            found.append(_stalled(name, track, still, quiet, patience))
        elif quiet >= patience:
            held.add(name)
            found.append(_silent(name, quiet, patience))
        elif UPSTREAM.get(name) in held:
            held.add(name)
    return found, held


def _order(name: str) -> tuple[int, str]:
    return (_ON_THE_RECORD_PATH.index(name) if name in _ON_THE_RECORD_PATH else len(_ON_THE_RECORD_PATH)), name


def _stalled(name: str, track: StageTrack, still: float, quiet: float, patience: float) -> Finding:
    rule = PlatformRule.SINK_FAILING if name == "sink" else PlatformRule.STAGE_STALLED
    lag = f"{track.seen.lag:,} waiting" if track.seen.lag > 0 else "work waiting"
    parts = [f"{name} has {lag} and has done nothing for {still:.0f} s"]
    if track.seen.halted:
        parts.append("a partition is halted")
    if quiet >= patience:
        parts.append(f"it has not reported for {quiet:.0f} s")
    if rule is PlatformRule.SINK_FAILING:
        hint = "headrace status: does the warehouse run? then the log of sink; nothing is lost, it repeats the block"
    else:
        hint = f"headrace status, then the log of {name}; a process that was stopped goes on with kill -CONT PID"
    return Finding(rule, name, Severity.CRITICAL, still, patience, "seconds", "; ".join(parts), hint)


def _silent(name: str, quiet: float, patience: float) -> Finding:
    message = f"{name} runs and has not reported for {quiet:.0f} s"
    hint = f"headrace status tells its pid; kill -CONT PID if it was stopped, else kill PID: {name} is started again"
    if name == _SUPERVISOR:
        hint = "kill -CONT PID of the supervisor (headrace status), else headrace down, headrace up"
    return Finding(PlatformRule.STAGE_SILENT, name, Severity.CRITICAL, quiet, patience, "seconds", message, hint)


def _lags(memory: Memory, seen: Observation, limits: Limits, opened: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    for name in _MESSAGES:
        track = memory.stages.get(name)
        if track is None or track.seen.lag < limits.lag_messages:
            continue
        grows = len(track.lags) > _SAMPLES and _rises([lag for _, lag in track.lags])
        if grows or (PlatformRule.LAG_GROWING, name) in opened:
            yield Finding(
                PlatformRule.LAG_GROWING,
                name,
                Severity.WARNING,
                track.seen.lag,
                limits.lag_messages,
                "messages",
                f"{name} falls behind: {track.seen.lag:,} messages wait",
                "headrace status: is it slow or does more come in? docs/guide/operate.md has ways to go faster",
            )


def _rises(lags: list[int]) -> bool:
    """Return True if each third lies above the one before: not for a leap, as one large file makes it."""
    third = len(lags) // 3
    first, middle, last = lags[:third], lags[third:-third], lags[-third:]
    return max(first) < min(middle) and max(middle) < min(last)


def _crashes(memory: Memory, seen: Observation, limits: Limits) -> Iterator[Finding]:
    for name, process in seen.processes.items():
        starts = len(memory.processes[name].starts)
        if process.failed or starts >= limits.restarts:
            how = "failed and no restart mends it" if process.failed else f"was started again {starts} times"
            within = "" if process.failed else f" within {limits.restart_secs:.0f} s"
            yield Finding(
                PlatformRule.CRASH_LOOP,
                name,
                Severity.CRITICAL,
                starts,
                limits.restarts,
                "restarts",
                f"{name} {how}{within}" + (f": {process.error}" if process.error else ""),
                f"the log of {name} (HOME/logs) says what to do",
            )


def _disk(seen: Observation, limits: Limits, opened: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    factor = _CLEAR_OF_FLOOR if (PlatformRule.DISK_FLOOR, "") in opened else 1.0
    if seen.disk_free < limits.disk_floor_bytes * factor:
        yield Finding(
            PlatformRule.DISK_FLOOR,
            "",
            Severity.CRITICAL,
            seen.disk_free,
            limits.disk_floor_bytes,
            "bytes",
            f"the disk of the home has {seen.disk_free / 1e9:.1f} GB left",
            "free space: done/ holds files that are stored; or lower HEADRACE_RETENTION_BYTES",
        )


def _folders(memory: Memory, seen: Observation, limits: Limits) -> Iterator[Finding]:
    for name in overdue(memory, seen.at, limits):
        if name not in seen.checked:
            past = memory.arrivals[name]
            bound = _longest_wait(past, limits)
            yield Finding(
                PlatformRule.FOLDER_SILENT,
                name,
                Severity.WARNING,
                seen.at - past[-1],
                bound,
                "seconds",
                f"{name}: no file for {seen.at - past[-1]:.0f} s, and before at least every {max(_gaps(past)):.0f} s",
                "ask who sends the files; headrace files shows the last ones",
            )


def overdue(memory: Memory, at: float, limits: Limits) -> list[str]:
    """Return the datasets whose files came regularly and come no more."""
    return [
        name
        for name, past in sorted(memory.arrivals.items())
        if _regular(past) and at - past[-1] > _longest_wait(past, limits)
    ]


def _gaps(past: tuple[float, ...]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(past)]


def _regular(past: tuple[float, ...]) -> bool:
    gaps = _gaps(past)
    return len(gaps) >= _REGULAR_GAPS and max(gaps) <= _REGULAR * median(gaps)


def _longest_wait(past: tuple[float, ...], limits: Limits) -> float:
    return max(_OVERDUE * max(_gaps(past)), limits.folder_secs)


def without_marks(memory: Memory) -> Memory:
    """Return what outlives the process: restarts and arrivals; a stage's marks begin anew."""
    return replace(memory, stages={})
