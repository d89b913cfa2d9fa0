"""Models in the report: never without the dummy, said when worthless, escaped, labelled, and on the overview too."""

from typing import Any

import pytest

from headrace.runtime.report.data import ReportData
from headrace.runtime.report.markup import escape
from headrace.runtime.report.masking import Mask
from headrace.runtime.report.models import LearnerFigures, models, standing, verdict
from headrace.runtime.report.overview import overview_page
from headrace.runtime.report.page import report_page
from headrace.testing.html import Page

DAY = 86_400_000_000
EVIL = "<script>alert(1)</script>\"'<img src=x onerror=y>"


def champion(**changed: Any) -> dict[str, Any]:
    plain = {"model": "line", "rows": 8_192, "recent_loss": 5.0, "recent_error": 0.25, "recent_metrics": {"rmse": 7.5}}
    return plain | {"best_dummy": "mean", "dummy_loss": 20.0, "beats_dummy": True, "anomalous": None} | changed


def learner(**changed: Any) -> LearnerFigures:
    turn = {"kind": "promotion", "model": "tree", "moment": DAY, "detail": "it lost less"}
    known: dict[str, Any] = {"champion": champion(), "turn": turn, "curve": [(1_024, 25.0, 20.0), (8_192, 5.0, 20.0)]}
    return LearnerFigures("weights", "regression", "mass", **(known | changed))


def data(*found: LearnerFigures, **changed: Any) -> ReportData:
    window = {"start": 0, "end": DAY, "revision": 0, "rows": 100, "rejected": 0, "score": 90.0, "missing": []}
    window |= {"worst_field": "mass", "worst_score": 50.0, "checked": 1}
    newest = window | {"dimensions": {}, "verdicts": [], "not_checked": []}
    known: dict[str, Any] = {"windows": [window], "newest": newest, "fields": (), "names": ["mass"]} | changed
    return ReportData(dataset="orders", clock="event", made_at=0, learners=found, **known)


def test_a_loss_stands_with_its_error_beside_the_best_dummy() -> None:
    page = report_page(data(learner()))
    assert "line loses 5 ± 0.25 a row, the best dummy (mean) 20" in page
    assert "It beats its dummy." in page
    assert "regression of mass" in page
    assert "promotion of tree, 1970-01-02 00:00 UTC: it lost less" in page
    assert "rmse" in page


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (champion(beats_dummy=False), "It does not beat its dummy: mean does as well"),
        (champion(beats_dummy=None, recent_error=None), "Too few records to tell whether it beats its dummy."),
    ],
)
def test_a_model_that_is_not_better_says_so_on_both_pages(figures: dict[str, Any], said: str) -> None:
    one = learner(champion=figures)
    assert said in report_page(data(one))
    assert said in overview_page([data(one)], [], 0)


def test_nothing_to_beat_no_figures_and_no_learner_are_told_apart() -> None:
    odd = learner(champion=champion(recent_loss=None, recent_error=None, best_dummy="", anomalous=0.0123), curve=())
    assert standing(odd).endswith("no label judges it; 1.23 % of the last records were beyond its threshold")
    assert verdict(odd) == ""
    assert standing(learner(champion=None)) == "no figures yet"
    assert "No learner predicts these records" in models([])
    assert "no learner predicts these records" in overview_page([data()], [], 0)
    assert "none: no drift, no promotion" in models([learner(turn=None)])


def test_the_curve_is_named_for_who_cannot_see_it_with_its_numbers_in_a_table() -> None:
    page = report_page(data(learner()))
    assert 'aria-label="Loss of weights by rows learned, newest 5; above its dummy at 1 of 2"' in page
    assert not Page(page).problems
    assert 'aria-label="Loss of weights"' in page
    assert "<svg" not in models([learner(curve=[(1_024, 25.0, 20.0)])])


def test_what_people_wrote_is_escaped() -> None:
    turn = {"kind": "promotion", "model": EVIL, "moment": DAY, "detail": EVIL}
    evil = learner(turn=turn, champion=champion(model=EVIL, best_dummy=EVIL))
    for page in (report_page(data(evil)), overview_page([data(evil)], [], 0)):
        seen = Page(page)
        assert not {"script", "img"} & set(seen.tags)
        assert not seen.problems
        assert escape(EVIL) in page


def test_without_a_contract_figures_are_shown_and_no_words() -> None:
    page = report_page(data(learner(), mask=Mask(all_fields=True)))
    assert "line loses 5" in page
    assert "regression of mass" not in page
    assert "it lost less" not in page
