"""What a browser would find wrong with a page of ours: tags, places of tags, ids, links, charts without words."""

from collections import Counter
from html.parser import HTMLParser
from typing import Final

_VOID: Final = frozenset({"meta", "br", "hr"})
_PHRASING: Final = frozenset({"a", "b", "small", "span", "svg", "title", "br"})
_DRAWN: Final = frozenset({"title", "rect", "line", "polyline", "circle", "text"})
# What may stand directly inside; a browser would close the outer one, or move the inner one elsewhere.
_ONLY: Final = {
    "ul": frozenset({"li"}),
    "dl": frozenset({"dt", "dd"}),
    "table": frozenset({"caption", "thead", "tbody"}),
    "thead": frozenset({"tr"}),
    "tbody": frozenset({"tr"}),
    "tr": frozenset({"th", "td"}),
    "svg": _DRAWN,
    "text": frozenset({"title"}),
    "rect": frozenset({"title"}),
    "circle": frozenset({"title"}),
    **dict.fromkeys(("p", "span", "h1", "h2", "h3", "dt", "b", "a", "summary", "caption", "figcaption"), _PHRASING),
}


class Page(HTMLParser):
    """A page that was read: its tags and attributes, and `problems`, empty for a page that is as it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.charts: list[dict[str, str | None]] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self._end()

    def _start(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        outer = self._open[-1] if self._open else ""
        if tag not in _ONLY.get(outer, {tag}):
            self.problems.append(f"<{tag}> stands in <{outer}>, line {self.getpos()[0]}")
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "svg":
            self.charts.append(dict(attrs))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that opens."""
        self._start(tag, attrs)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that is its own end: drawings have such, HTML has none but the void ones."""
        self._start(tag, attrs)
        if "svg" not in self._open:
            self.problems.append(f"<{tag}/> is no HTML")

    def handle_endtag(self, tag: str) -> None:
        """Note a tag that ends."""
        opened = self._open.pop() if self._open else ""
        if opened != tag:
            self.problems.append(f"</{tag}> ends <{opened}>")

    def _end(self) -> None:
        self.problems += [f"<{tag}> never ends" for tag in self._open]
        ids = Counter(value for name, value in self.attributes if name == "id")
        self.problems += [f"id {name} is there {count} times" for name, count in ids.items() if count > 1]
        links = {value or "" for name, value in self.attributes if name == "href"}
        self.problems += [f"link {link} leads nowhere" for link in sorted(links) if link.removeprefix("#") not in ids]
        self.problems += [
            f"a chart has no words: {chart}"
            for chart in self.charts
            if chart.get("role") != "img" or not (chart.get("aria-label") or "").strip()
        ]
