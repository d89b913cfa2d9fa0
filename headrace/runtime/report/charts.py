"""Charts as inline SVG with a title for screen readers; every chart has its numbers as a table behind it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from headrace.runtime.report.markup import Markup, element, number, of_field, percent

WIDTH, HEIGHT = 720, 180
_LEFT, _BOTTOM, _TOP, _RIGHT = 88, 30, 14, 8
_MOST_BARS, _MOST_COLUMNS = 120, 60
_STEPS = (0.0, 0.001, 0.01, 0.05, 0.2, 0.5)
"""A cell of the heat map has the class of the last step that its missing rate is beyond."""

Point = tuple[str, float | None]


class Bounded(NamedTuple):
    """What a window says of a rule: its figure, and between what it had to be."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    broken: bool = False


def line_chart(points: Sequence[Point], title: str, low: float, high: float) -> Markup:
    """Return a line over time from `low` to `high`; a window without a value breaks the line."""
    if not points:
        return element("p", "Nothing to draw yet.")
    xs, values = _xs(len(points)), [value for _, value in points]
    drawn = _line(xs, values, low, high, "series")
    ends = [(x, value) for x, value in zip(xs, values, strict=True) if value is not None][-1:]
    drawn += [element("circle", cx=f"{x:.1f}", cy=f"{_y(v, low, high):.1f}", r=4, class_="dot") for x, v in ends]
    return _framed(title, [*_axis(low, high), *drawn, *_ends(points[0][0], points[-1][0])])


def bounded_chart(points: Sequence[Bounded], title: str, unit: str = "") -> Markup:
    """Return a figure over time with the bounds it had, and a mark on each window in which it broke them."""
    values = [value for one in points for value in (one.value, one.low, one.high) if value is not None]
    if not values:
        return element("p", "Nothing to draw yet.")
    low, high = min(0.0, *values), max(values)
    high = high if high > low else low + 1.0
    xs = _xs(len(points))
    drawn = list(_axis(low, high, unit))
    for bound in ("low", "high"):
        drawn += _line(xs, [getattr(one, bound) for one in points], low, high, "bound")
    drawn += _line(xs, [one.value for one in points], low, high, "series")
    drawn += [
        element(
            "circle",
            element("title", f"{one.label}: {number(one.value)}{unit}"),
            cx=f"{x:.1f}",
            cy=f"{_y(one.value, low, high):.1f}",
            r=4,
            class_="broken",
        )
        for x, one in zip(xs, points, strict=True)
        if one.broken and one.value is not None
    ]
    return _framed(title, [*drawn, *_ends(points[0].label, points[-1].label)])


def spark_line(points: Sequence[Point], title: str, low: float, high: float) -> Markup:
    """Return a small line without an axis, for a card; its last value is marked."""
    width, height = 240, 40
    known = [(at, value) for at, (_, value) in enumerate(points) if value is not None]
    if len(known) < 2:
        return Markup("")
    step = (width - 10) / max(1, len(points) - 1)
    span = (high - low) or 1.0
    places = [(5 + at * step, 5 + (height - 10) * (1 - (min(max(v, low), high) - low) / span)) for at, v in known]
    line = element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_="series")
    dot = element("circle", cx=f"{places[-1][0]:.1f}", cy=f"{places[-1][1]:.1f}", r=4, class_="dot")
    return _svg(title, [line, dot], width, height)


def share_bars(shares: Sequence[tuple[str, float, str]]) -> Markup:
    """Return a list with a horizontal bar for each (name, share, what to say of it)."""
    return element("ul", *(_share_bar(*one) for one in shares), class_="bars")


def _share_bar(name: str, share: float, told: str) -> Markup:
    box = {"viewBox": f"0 0 {WIDTH} 8", "preserveAspectRatio": "none", "role": "img", "aria_label": f"{name}: {told}"}
    ground = element("rect", x=0, y=0, width=WIDTH, height=8, class_="h0")
    bar = element("rect", x=0, y=0, width=f"{max(min(share, 1.0) * WIDTH, 2):.1f}", height=8, class_="bar")
    words = element("div", element("span", name), element("span", told, class_="soft"))
    return element("li", words, element("svg", element("title", f"{name}: {told}"), ground, bar, **box))


def bar_chart(points: Sequence[Point], title: str, *, zero: bool = True) -> Markup:
    """Return bars over time, several windows a bar where there are many (their sum)."""
    bars = added_up(points, _MOST_BARS)
    if not bars:
        return element("p", "Nothing to draw yet.")
    high = max((value or 0.0 for _, value in bars), default=0.0) or 1.0
    step = (WIDTH - _LEFT - _RIGHT) / len(bars)
    drawn = []
    for at, (label, value) in enumerate(bars):
        top = _y(value or 0.0, 0.0, high)
        drawn.append(
            element(
                "rect",
                element("title", f"{label}: {number(value)}"),
                x=f"{_LEFT + at * step:.1f}",
                y=f"{top:.1f}",
                width=f"{max(step - (1 if step > 3 else 0), 0.8):.1f}",
                height=f"{HEIGHT - _BOTTOM - top:.1f}",
                class_="bar",
            )
        )
    return _framed(title, [*(_axis(0.0, high) if zero else []), *drawn, *_ends(points[0][0], points[-1][0])])


def histogram(bins: Sequence[dict[str, Any]], title: str, kind: str = "") -> Markup:
    """Return the bars of a histogram, with its least and greatest value below."""
    width, height = 320, 104
    most = max((one["count"] for one in bins), default=0) or 1
    step = width / max(1, len(bins))
    drawn = []
    for at, one in enumerate(bins):
        tall = (height - 24) * one["count"] / most
        tall = max(tall, 1.0) if one["count"] else 0.0
        drawn.append(
            element(
                "rect",
                x=f"{at * step:.1f}",
                y=f"{height - 20 - tall:.1f}",
                width=f"{max(step - 1, 1):.1f}",
                height=f"{tall:.1f}",
                class_="bar",
            )
        )
    ends = [
        element("text", of_field(bins[0]["low"], kind), x=0, y=height - 4, class_="tick"),
        element("text", of_field(bins[-1]["high"], kind), x=width, y=height - 4, class_="tick end"),
    ]
    return _svg(title, drawn + ends, width, height)


def heat_map(labels: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]], title: str) -> Markup:
    """Return shares by field (down) and window (across); the deeper the colour the greater the share."""
    if not rows or not labels:
        return element("p", "Nothing to draw yet.")
    left, tall = 150, 22
    columns = len(labels)
    step = (WIDTH - left - _RIGHT) / columns
    drawn = []
    for down, (name, shares) in enumerate(rows):
        y = down * tall
        shown = name if len(name) <= 18 else f"{name[:17]}…"
        drawn.append(element("text", element("title", name), shown, x=left - 8, y=y + 16, class_="tick end"))
        for at, share in enumerate(shares):
            tip = element("title", f"{name}, {labels[at]}: {'no data' if share is None else percent(share)}")
            drawn.append(
                element(
                    "rect",
                    tip,
                    x=f"{left + at * step:.1f}",
                    y=y + 1,
                    width=f"{step + 0.2:.1f}",
                    height=tall - 2,
                    class_=heat_class(share),
                )
            )
    bottom = len(rows) * tall
    drawn += [
        element("text", labels[0], x=left, y=bottom + 18, class_="tick"),
        element("text", labels[-1], x=WIDTH - _RIGHT, y=bottom + 18, class_="tick end"),
    ]
    return _svg(title, drawn, WIDTH, bottom + 26)


def heat_class(share: float | None) -> str:
    """Return the class of a cell.

    >>> heat_class(None), heat_class(0.0), heat_class(0.03), heat_class(1.0)
    ('h none', 'h h0', 'h h3', 'h h6')
    """
    if share is None:
        return "h none"
    return f"h h{sum(share > step for step in _STEPS)}"


def heat_legend() -> Markup:
    """Return what the colours of the heat map mean."""
    names = ("none missing", "up to 0.1 %", "up to 1 %", "up to 5 %", "up to 20 %", "up to 50 %", "more")
    parts = [
        element("span", element("span", class_=f"swatch s{at}", aria_hidden="true"), f" {name}", class_="key")
        for at, name in enumerate(names)
    ]
    return element("p", *parts, class_="legend")


def added_up(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` points, each the sum of as many neighbours; a group of one value keeps it.

    >>> added_up([("a", 1.0), ("b", None), ("c", 2.0)], 2)
    [('a', 1.0), ('c', 2.0)]
    """
    size = -(-len(points) // most) if points else 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(group[0][0], sum(value or 0.0 for _, value in group)) for group in groups]


def columns(count: int) -> int:
    """Return how many neighbours one column of the heat map takes together."""
    return max(1, -(-count // _MOST_COLUMNS))


def _xs(count: int) -> list[float]:
    return [_LEFT + (WIDTH - _LEFT - _RIGHT) * (at / max(1, count - 1)) for at in range(count)]


def _line(xs: Sequence[float], values: Sequence[float | None], low: float, high: float, kind: str) -> list[Markup]:
    """Return a line; a window without a value breaks it."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(xs, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x, _y(value, low, high)))
    return [
        element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in run), class_=kind)
        for run in runs
        if len(run) > 1
    ]


def _y(value: float, low: float, high: float) -> float:
    share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
    return HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP)


def _axis(low: float, high: float, unit: str = "") -> list[Markup]:
    marks = []
    for value in (low, (low + high) / 2, high):
        y = _y(value, low, high)
        marks.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        marks.append(element("text", f"{number(value)}{unit}", x=_LEFT - 6, y=f"{y + 4:.1f}", class_="tick end"))
    return marks


def _ends(first: str, last: str) -> list[Markup]:
    y = HEIGHT - 6
    return [
        element("text", first, x=_LEFT, y=y, class_="tick"),
        element("text", last, x=WIDTH - _RIGHT, y=y, class_="tick end"),
    ]


def _framed(title: str, content: Sequence[Markup]) -> Markup:
    return _svg(title, content, WIDTH, HEIGHT)


def _svg(title: str, content: Sequence[Markup], width: int, height: int) -> Markup:
    box = f"0 0 {width} {height}"
    return element("svg", element("title", title), *content, viewBox=box, role="img", aria_label=title)
