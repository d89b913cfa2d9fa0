"""The rolling loss of learners over a year as a picture that is drawn without a library."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from benchmarks.learn_results import Result

WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 820, 250, 64, 16, 34, 40
_INK, _MODEL, _DUMMY, _STORM = "#7d8590", "#2f81f7", "#bf7d1e", "#8b949e"
Place = Callable[[datetime], float]
Point = tuple[datetime, float, float]
_UNITS = {"flights_delay": "mean absolute error, minutes", "flights_late": "log loss"}
STORMS = (
    (datetime(2013, 2, 7, tzinfo=UTC), datetime(2013, 2, 12, tzinfo=UTC), "February blizzard"),
    (datetime(2013, 6, 24, tzinfo=UTC), datetime(2013, 7, 12, tzinfo=UTC), "summer thunderstorms"),
)
"""The blizzard of 8 and 9 February 2013, and the weeks of thunderstorms around the turn of June."""


def chart(results: Sequence[Result]) -> str:
    """Return an SVG with a panel for each learner: its champion and its best dummy; colours do on light and dark."""
    height = _PANEL * len(results)
    body = "".join(_panel(result, _PANEL * place) for place, result in enumerate(results))
    style = f"text{{font:12px sans-serif;fill:{_INK}}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Rolling loss of learners and their dummies in 2013">'
        f"<style>{style}</style>{body}</svg>\n"
    )


def _panel(result: Result, top: int) -> str:
    curve = result.curve
    if len(curve) < 2:
        return _text(_LEFT, top + 60, f"{result.learner}: too few records for a curve")
    first, last = curve[0][0].timestamp(), curve[-1][0].timestamp()
    most = 1.1 * max(value for _, *values in curve for value in values)
    bottom = top + _PANEL - _BOTTOM

    def across(moment: datetime) -> float:
        share = (moment.timestamp() - first) / max(1.0, last - first)
        return _LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return bottom - value / most * (bottom - top - _TOP)

    parts = [*_storms(across, curve, top + _TOP, bottom), *_axes(result, across, down, most, top, bottom)]
    for place, colour in ((1, _MODEL), (2, _DUMMY)):
        points = " ".join(f"{across(one[0]):.1f},{down(one[place]):.1f}" for one in curve)  # type: ignore[arg-type]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    parts.append(_text(_LEFT, top + 16, f"{result.learner}, over the last 4,096 flights"))
    parts.append(_text(WIDTH - 210, top + 16, "champion", _MODEL))
    parts.append(_text(WIDTH - 130, top + 16, "best dummy", _DUMMY))
    return "".join(parts)


def _storms(across: Place, curve: Sequence[Point], top: float, bottom: float) -> Iterator[str]:
    for begin, end, name in STORMS:
        if begin < curve[-1][0] and end > curve[0][0]:
            left, right = across(begin), across(end)
            yield (
                f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{bottom - top}" fill="{_STORM}" '
                f'fill-opacity="0.25"/>'
            )
            yield _text((left + right) / 2, bottom - 6, name, anchor="middle")


def _axes(
    result: Result, across: Place, down: Callable[[float], float], most: float, top: int, bottom: int
) -> Iterator[str]:
    yield f'<path d="M{_LEFT} {top + _TOP}V{bottom}H{WIDTH - _RIGHT}" fill="none" stroke="{_INK}"/>'
    step = next(size for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if most / size < 6 or size == 50)
    for count in range(int(most / step) + 1):
        yield _text(_LEFT - 6, down(step * count) + 4, f"{step * count:.3g}", anchor="end")
    months = [datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 13)]
    ends = [*months[1:], datetime(2014, 1, 1, tzinfo=UTC)]
    for begin, end in zip(months, ends, strict=True):
        if across(end) - across(begin) > 20:
            yield _text((across(begin) + across(end)) / 2, bottom + 16, f"{begin:%b}", anchor="middle")
    for begin, _ in pairwise(ends):
        yield f'<path d="M{across(begin):.1f} {bottom}v4" stroke="{_INK}"/>'
    yield _text(_LEFT + (WIDTH - _LEFT) / 2, bottom + 32, "scheduled departure, 2013", anchor="middle")
    middle = (top + _TOP + bottom) / 2
    unit = _UNITS.get(result.learner, "mean loss")
    yield f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">{unit}</text>'


def _text(x: float, y: float, words: str, colour: str = "", anchor: str = "start") -> str:
    style = f' style="fill:{colour}"' if colour else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{words}</text>'
