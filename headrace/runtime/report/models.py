"""How the learners of a dataset stand: each champion beside its best dummy, the last change, and its loss over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headrace.runtime.report.charts import Bounded, bounded_chart
from headrace.runtime.report.markup import Markup, element, folded, joined, moment, number, table

_NO_LEARNERS = "No learner predicts these records: docs/guide/learners.md says how to begin one."


@dataclass(frozen=True)
class LearnerFigures:
    """One learner: its champion's newest figures (None: there are none yet), its last change, and points of its curve.

    `about` says what it predicts. `turn` has kind, model, moment (microseconds) and detail. Points are (rows, loss, the
    best dummy's loss or None), oldest first.
    """

    name: str
    task: str
    about: str
    champion: Mapping[str, Any] | None = None
    turn: Mapping[str, Any] | None = None
    curve: Sequence[tuple[int, float, float | None]] = ()

    def masked(self) -> "LearnerFigures":
        """Return the same without words: figures alone, where nobody can say what may be shown."""
        return replace(self, about="", turn=None if self.turn is None else {**self.turn, "detail": "not shown"})


def models(found: Sequence[LearnerFigures]) -> Markup:
    """Return the section of a dataset's learners."""
    if not found:
        told = element("p", _NO_LEARNERS, class_="soft")
        return element("section", element("h2", "Models"), told, id="models")
    cards = [_card(one) for one in found]
    how = "Each record is predicted before it is learned; a dummy is what anybody could say. Less loss is better."
    return element("section", element("h2", "Models"), element("p", how, class_="soft"), *cards, id="models")


def standing(one: LearnerFigures) -> str:
    """Return a learner in one sentence: its loss never stands without the dummy's.

    >>> standing(LearnerFigures("late", "classification", "arr_delay > 15"))
    'no figures yet'
    """
    found = one.champion
    if found is None:
        return "no figures yet"
    if found["recent_loss"] is None or not found["best_dummy"]:
        odd = found["anomalous"]
        flagged = "" if odd is None else f"; {odd * 100:.3g} % of the last records were beyond its threshold"
        return f"{found['model']}: nothing to beat, since no label judges it{flagged}"
    loss = number(found["recent_loss"]) + ("" if found["recent_error"] is None else f" ± {found['recent_error']:.2g}")
    return f"{found['model']} loses {loss} a row, the best dummy ({found['best_dummy']}) {number(found['dummy_loss'])}"


def verdict(one: LearnerFigures) -> str:
    """Return whether the champion is worth having; "" where nothing can be said.

    >>> figures = {"model": "line", "best_dummy": "mean", "beats_dummy": False}
    >>> verdict(LearnerFigures("late", "regression", "y", figures))
    'It does not beat its dummy: mean does as well, so its predictions are worth nothing yet.'
    """
    found = one.champion
    if found is None or not found["best_dummy"]:
        return ""
    if found["beats_dummy"] is None:
        return "Too few records to tell whether it beats its dummy."
    if found["beats_dummy"]:
        return "It beats its dummy."
    return f"It does not beat its dummy: {found['best_dummy']} does as well, so its predictions are worth nothing yet."


def _card(one: LearnerFigures) -> Markup:
    said = verdict(one)
    good = one.champion is not None and bool(one.champion["beats_dummy"])
    marked = element("p", said, class_="good-text" if good else "warn-text") if said else ""
    facts = [("rows learned", number(one.champion["rows"])), *_metrics(one.champion)] if one.champion else []
    facts.append(("last change", _turn(one.turn)))
    pairs = joined(joined([element("dt", name), element("dd", value)]) for name, value in facts)
    return element(
        "article",
        element("h3", one.name),
        element("p", f"{one.task} of {one.about}" if one.about else one.task, class_="soft"),
        element("p", standing(one)),
        marked,
        _curve(one),
        element("dl", pairs),
        class_="card dataset",
    )


def _metrics(champion: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, number(value)) for name, value in sorted(champion["recent_metrics"].items())]


def _turn(turn: Mapping[str, Any] | None) -> str:
    if turn is None:
        return "none: no drift, no promotion"
    return f"{turn['kind']} of {turn['model']}, {moment(turn['moment'])} UTC: {turn['detail']}"


def _curve(one: LearnerFigures) -> Markup:
    if len(one.curve) < 2:
        return Markup("")
    # The dummy is the bound: where the champion loses more, it is marked.
    points = [
        Bounded(number(rows), loss, None, dummy, broken=dummy is not None and loss > dummy)
        for rows, loss, dummy in one.curve
    ]
    worse = sum(point.broken for point in points)
    newest = f"newest {number(one.curve[-1][1])}; above its dummy at {worse} of {len(points)}"
    title = f"Loss of {one.name} by rows learned, {newest}"
    shown = [(number(rows), number(loss), number(dummy)) for rows, loss, dummy in one.curve[::-1]]
    words = "Loss by rows learned. Dashed: the best dummy's; marks: the model lost more."
    rows = table(("rows learned", "loss", "best dummy"), shown, f"Loss of {one.name}")
    told, numbers = element("figcaption", words, class_="soft"), folded(f"The numbers: {one.name}", rows)
    return element("figure", bounded_chart(points, title), told, numbers)
