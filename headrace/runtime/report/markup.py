"""HTML without a template engine: everything that is not Markup is escaped when it goes into an element."""

import html
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

_VOID = frozenset({"meta", "br", "hr", "rect", "line", "polyline", "circle"})
_MICROS = 1_000_000
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(9), 11, 12, *range(14, 32), 127)}
TIMES = frozenset({"timestamp-micros", "date"})
_NARROW = 2
_GREAT, _SMALL = 1_000.0, 0.001


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """Return a value as HTML text.

    >>> escape("<b>&'"), escape(Markup("<b>"))
    ('&lt;b&gt;&amp;&#x27;', '<b>')
    """
    return value if isinstance(value, Markup) else Markup(html.escape(str(value).translate(_CONTROLS)))


def element(name: str, /, *content: object, **attributes: object) -> Markup:
    """Return an element; `class_` is the attribute class, `aria_label` aria-label, None leaves an attribute out.

    >>> element("a", "1 < 2", href="#x", class_="link")
    '<a href="#x" class="link">1 &lt; 2</a>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not content:
        return Markup(f"<{name}{shown}>" if name in {"meta", "br", "hr"} else f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{joined(content)}</{name}>")


def joined(parts: Iterable[object]) -> Markup:
    """Return parts one after the other, each escaped unless it is Markup."""
    return Markup("".join(escape(part) for part in parts))


def table(
    headings: Iterable[str], rows: Iterable[Iterable[object]], caption: str = "", *, wide: bool = False
) -> Markup:
    """Return a table whose first column names the row; a wide one scrolls in its own box."""
    named = list(headings)
    head = element("tr", *(element("th", heading, scope="col") for heading in named))
    body = []
    for row in rows:
        first, *rest = row
        body.append(element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest)))
    title = element("caption", caption) if caption else ""
    return element(
        "div",
        element("table", title, element("thead", head), element("tbody", *body)),
        class_="scroll wide" if wide else "scroll narrow" if len(named) <= _NARROW else "scroll",
        tabindex="0",
        role="region",
        aria_label=caption or "table",
    )


def folded(summary: str, *content: object) -> Markup:
    """Return content that is closed until somebody asks."""
    return element("details", element("summary", summary), *content)


def gain(points: float) -> str:
    """Return what an advice would win, for a person.

    >>> gain(3.14159), gain(0.00085), gain(0.0)
    ('3.14 points of score', 'less than 0.01 points of score', '0 points of score')
    """
    return f"{'less than 0.01' if 0 < points < 0.01 else number(points)} points of score"


def number(value: Any) -> str:
    """Return a number for a person.

    >>> number(1234567.0), number(3.14159), number(None), number(0.00001234)
    ('1,234,567', '3.14', '-', '1.2e-05')
    """
    if value is None or not math.isfinite(float(value)):
        return "-"
    found = float(value)
    if found == int(found) or abs(found) >= _GREAT:
        return f"{found:,.0f}"
    if abs(found) < _SMALL:
        return f"{found:.1e}"
    return f"{found:.3g}" if abs(found) >= 1 else f"{found:.2g}"


def of_field(value: Any, kind: str) -> str:
    """Return a value of a field for a person; times are kept as microseconds, dates as days since 1970.

    >>> of_field(1_357_016_400_000_000, "timestamp-micros"), of_field(15_706, "date"), of_field(3, "long")
    ('2013-01-01 05:00', '2013-01-01', '3')
    """
    if value is None or kind not in TIMES:
        return number(value)
    micros = value * 86_400 * _MICROS if kind == "date" else value
    try:
        return moment(round(micros), 86_400 if kind == "date" else 0)
    except (OverflowError, ValueError, OSError):
        return number(value)


def percent(share: float) -> str:
    """Return a share as percent; what is not nothing never reads as 0 %.

    >>> percent(0.0), percent(0.00001), percent(0.1234), percent(1.0)
    ('0 %', '<0.01 %', '12.3 %', '100 %')
    """
    value = share * 100
    if value == 0 or value == int(value):
        return f"{value:.0f} %"
    return "<0.01 %" if value < 0.01 else f"{value:.3g} %"


def moment(micros: int, width: int = 0) -> str:
    """Return a time in UTC: of windows of a day or longer (`width` in seconds) the day alone.

    >>> moment(1_357_016_400_000_000), moment(1_356_998_400_000_000, 86_400)
    ('2013-01-01 05:00', '2013-01-01')
    """
    found = datetime.fromtimestamp(micros / _MICROS, UTC)
    return f"{found:%Y-%m-%d}" if width >= 86_400 else f"{found:%Y-%m-%d %H:%M}"
