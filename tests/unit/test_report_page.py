"""The report: nothing personal, nothing executable, nothing fetched, under 1 MB, and true to its figures."""

import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from headrace.runtime.quality_store import Observed
from headrace.runtime.report.collect import outside
from headrace.runtime.report.data import ReportData
from headrace.runtime.report.markup import element, escape, moment
from headrace.runtime.report.masking import Mask
from headrace.runtime.report.overview import overview_page
from headrace.runtime.report.page import MOST_BYTES, report_page
from headrace.runtime.report.samples import SampleRows
from headrace.runtime.report.style import STYLE
from headrace.stream_processors.checks.base import FieldFigure
from headrace.stream_processors.sketches.base import Cell
from headrace.stream_processors.sketches.distinct import Distinct
from headrace.stream_processors.sketches.extremes import Extremes
from headrace.stream_processors.sketches.moments import Moments
from headrace.stream_processors.sketches.quantiles import Quantiles
from headrace.stream_processors.sketches.registry import pack_cell
from headrace.stream_processors.sketches.tally import Tally
from headrace.stream_processors.sketches.top import Top
from headrace.stream_processors.steps.roll_up import cells_by_field, roll_up
from headrace.testing.html import Page

DAY = 86_400_000_000
EVIL = "<script>alert(1)</script>\"'<img src=x onerror=y>"


def packed(values: list[float | None]) -> dict[str, bytes]:
    series = pl.Series(values, dtype=pl.Float64)
    known = series.drop_nulls()
    cells: dict[FieldFigure, Cell] = {
        FieldFigure.COUNTS: Tally({"rows": len(series), "nulls": series.null_count()}),
        FieldFigure.EXTREMES: Extremes.of(known),
        FieldFigure.MOMENTS: Moments.of(known),
        FieldFigure.QUANTILES: Quantiles.of(known),
        FieldFigure.DISTINCT: Distinct.of(known),
        FieldFigure.TOP: Top.of(known),
    }
    return {str(name): pack_cell(cell) for name, cell in cells.items()}


def window(at: int, fields: list[str], score: float | None = 90.0) -> dict[str, Any]:
    missing = [[name, 100, (at + number) % 5] for number, name in enumerate(fields)]
    named = {
        "start": at * DAY,
        "end": (at + 1) * DAY,
        "revision": 0,
        "rows": 100,
        "rejected": 1,
        "score": score,
        "contract_version": "1",
    }
    return named | {"worst_field": fields[0], "worst_score": 50.0, "checked": 1, "missing": missing}


def verdict(**changed: Any) -> dict[str, Any]:
    plain = {"rule": "mass_missing", "check": "null_rate", "field": "mass", "dimension": "completeness"}
    told = {"severity": "warning", "outcome": "fail", "observed": 7.0, "error": 0.0, "lower": None, "upper": 2.0}
    texts = {"unit": "percent", "rows": 100, "rows_at_risk": 7, "detail": "7 of 100 miss mass", "demand": "at most 2 %"}
    return plain | told | texts | changed


def alert(**changed: Any) -> dict[str, Any]:
    named = {"alert_id": "a", "subject": "s", "dataset": "orders", "rule": "mass_missing", "state": "open"}
    told = {
        "severity": "critical",
        "observed": 7.0,
        "bound": 2.0,
        "rows": 100,
        "rows_at_risk": 7,
        "file": "",
        "file_name": "",
    }
    texts = {"message": "too many", "hint": "look", "unit": "percent", "error": 0.25, "field": "mass", "segments": []}
    texts |= {"reasons": {}, "samples": [], "clock": "event", "advice_id": ""}
    return (
        named
        | told
        | texts
        | {"raised_at": DAY, "window_start": DAY, "window_end": 2 * DAY, "silenced": False}
        | changed
    )


def advice(**changed: Any) -> dict[str, Any]:
    named = {"advice_id": "b", "dataset": "orders", "symptom": "x", "field": "mass", "segment": "", "state": "proposed"}
    return (
        named
        | {"evidence": ["e"], "cause": "c", "action": "do", "owner": "o", "rows_at_risk": 7, "expected_gain": 1.5}
        | {"confidence": 0.62, "measured": "", "query": "SELECT 1"}
        | changed
    )


def data(fields: list[str] | None = None, windows: int = 3, **changed: Any) -> ReportData:
    names = fields or ["mass", "who"]
    rolled = roll_up([dict.fromkeys(names, packed([1.0, 2.0, None]))] * 2)
    newest = window(windows - 1, names) | {
        "dimensions": {"completeness": 90.0},
        "verdicts": [verdict(field=names[0])],
        "not_checked": ["who: no rule looks at it"],
    }
    known: dict[str, Any] = {"alerts": [alert()], "advice": [advice()], "names": names, "made_at": 0, "newest": newest}
    known |= {"windows": [window(at, names) for at in range(windows)], "fields": rolled.fields} | changed
    return ReportData(dataset="orders", clock="event", **known)


def parsed(page: str) -> Page:
    seen = Page(page)
    assert not seen.problems
    return seen


def test_merged_states_give_the_figures_of_all_rows() -> None:
    rolled = roll_up([{"mass": packed([1.0, 2.0, None])}, {"mass": packed([3.0, 4.0])}])
    (mass,) = rolled.fields
    assert (mass["rows"], mass["nulls"], mass["mean"], mass["maximum"], mass["distinct"]) == (5, 1, 2.5, 4.0, 4)
    assert rolled.windows == 2


def test_field_whose_states_do_not_merge_is_named_and_not_invented() -> None:
    other = {"mass": {str(FieldFigure.COUNTS): pack_cell(Moments())}}
    rolled = roll_up([{"mass": packed([1.0])}, other])
    assert rolled.fields == []
    assert "mass" in rolled.unmerged
    assert cells_by_field([("rule", "a", b"")]) == {}


def test_page_is_well_formed_and_asks_nothing_of_anybody() -> None:
    page = report_page(data())
    seen = parsed(page)
    assert "script" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in {"src", "style"}]
    assert all(value and value.startswith("#") for name, value in seen.attributes if name == "href")
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src &#x27;none&#x27;" in page
    assert "unsafe" not in page


def test_score_never_stands_alone() -> None:
    page = report_page(data())
    assert "Not checked: who" in page
    assert "its own score is 50.0 of 100" in page
    assert 'href="#field-mass"' in page
    assert 'id="field-mass"' in page
    assert "7 % ± 0.25" in page


def test_windows_without_records_after_the_newest_are_said_and_change_nothing_that_is_said_of_it() -> None:
    full = data(windows=4)
    best: dict[str, Any] = {"score": 100.0}
    same = [{**one, **best} for one in full.windows]
    later = [{**same[-1], "start": same[-1]["start"] + n * DAY, "rows": 0, "score": 0.0} for n in (1, 2)]
    page = report_page(replace(full, windows=[*same, *later], newest={**full.newest, **best}))
    assert "has 100.0 of 100 points: as usual" in page
    assert "2 later windows closed without any record." in page


def test_what_comes_from_data_is_escaped_everywhere() -> None:
    rows = [
        {**one, "top": [{"value": EVIL, "count": 1}], "shapes": [{"value": EVIL, "count": 1}]} for one in data().fields
    ]
    shown = data(
        fields=[EVIL, "who"],
        alerts=[alert(message=EVIL, field=EVIL, rule=EVIL, file_name=EVIL, severity=EVIL)],
        advice=[advice(action=EVIL, cause=EVIL, evidence=[EVIL], owner=EVIL, segment=EVIL)],
        description=EVIL,
        owner=EVIL,
        files=[
            {
                "name": EVIL,
                "file": "f",
                "state": "rejected",
                "balanced": False,
                "reason": "x",
                "detail": EVIL,
                "rows_read": 0,
            }
            | {"rows_stored": 0, "rows_quarantined": 0, "updated_at": 0}
        ],
    )
    page = report_page(replace(shown, fields=[*shown.fields, *rows]))
    seen = Page(page)
    assert not {"script", "img"} & set(seen.tags)
    assert not [problem for problem in seen.problems if not problem.startswith("id field-")]
    assert not [name for name, _ in seen.attributes if name in {"onerror", "src"}]
    assert escape(EVIL) in page


def secret(**changed: Any) -> tuple[ReportData, dict[str, Any]]:
    word = "Geheimrat"
    profile = {
        **data().fields[0],
        "name": "who",
        "top": [{"value": word, "count": 1}],
        "shapes": [{"value": word, "count": 1}],
    }
    segment = {"name": f"who={word}", "rows": 1, "share": 1.0, "lift": 2.0}
    told = {"field": "who", "detail": f"{word} is stuck", "demand": word}
    newest = {**data().newest, "verdicts": [verdict(**told)], "not_checked": [f"mass_missing: {word}"]}
    return data(
        newest=newest,
        fields=["mass", "who"],
        alerts=[
            alert(field="who", message=f"{word} comes too often", hint=word),
            alert(subject="t", field="mass", message=f"most at who={word}", segments=[segment]),
        ],
        advice=[
            advice(field="who", evidence=[word], cause=word, action=word, segment=word),
            advice(segment=f"who={word}", evidence=[word], cause=word, action=word),
            advice(evidence=[f"Worst: who={word}"], action=f"mandatory at who={word}"),
        ],
        **changed,
    ), profile


@pytest.mark.parametrize("mask", [Mask({"who"}), Mask(all_fields=True)])
def test_values_of_personal_fields_appear_nowhere(mask: Mask) -> None:
    found, profile = secret(mask=mask)
    page = report_page(replace(found, fields=[profile]))
    assert "Geheimrat" not in page
    assert "values are not shown" in page
    assert "Geheimrat" in report_page(replace(found, fields=[profile], mask=Mask()))


def test_largest_page_stays_under_its_limit_and_says_what_it_leaves_out() -> None:
    names = [f"a_rather_long_name_of_a_field_{number}" for number in range(500)]
    many = data(names, windows=400)
    page = report_page(replace(many, alerts=[alert(subject=str(at)) for at in range(200)]))
    assert len(page.encode()) < MOST_BYTES
    assert "150 of 500 fields are shown" in page


def test_rows_that_came_too_late_for_their_window_are_counted_among_what_was_not_checked() -> None:
    found = data()
    starts = [one["start"] for one in found.windows]
    accepted = {one["start"]: one["rows"] - one["rejected"] for one in found.windows}
    assert outside(found, "1", accepted) == outside(found, "1", {}) == {}
    more = accepted | {starts[0]: accepted[starts[0]] + 1_200, starts[1]: accepted[starts[1]] + 34}
    late = outside(found, "1", more)
    assert outside(found, "2", more) == {}
    assert late == {starts[0]: 1_200, starts[1]: 34}
    day = moment(starts[0], found.width)
    told = f"1,234 stored rows of 2 windows, 1,200 of them of {day} are in no verdict here"
    assert told in report_page(replace(found, outside=late))
    assert "in no verdict here" not in report_page(found)


def test_page_without_history_score_or_anything_else_still_reads() -> None:
    bare = data(windows=1, alerts=[], advice=[], fields=[])
    newest = {**bare.newest, "score": None, "verdicts": [], "worst_field": "", "worst_score": None, "not_checked": []}
    page = report_page(replace(bare, newest=newest, fields=[], windows=[window(0, ["mass"], None)]))
    parsed(page)
    assert "Nothing needs attention just now" in page
    assert "no score" in page
    assert re.search(r"0 of 2.{0,60}fields", page)


def full(**changed: Any) -> ReportData:
    """Return data with everything that a page can show."""
    seen = [Observed(at * DAY, "fail" if at == 2 else "pass", float(at), None, 1.0) for at in range(3)]
    segment = {"name": "_file=f00", "rows": 3, "share": 0.5, "lift": 2.0}
    one = alert(samples=[{"file": "f00", "row": 7}], segments=[segment], advice_id="b")
    file_alert = alert(alert_id="f", subject="f", field="", reasons={"not_in_set": 2}, file="f00", clock="file")
    past = [alert(alert_id="p", subject="p", rule="was", state="open", message="orders: it was bad; demanded: good")]
    file = {"name": "may.csv", "file": "f00", "state": "balanced", "balanced": True, "reason": "", "detail": ""}
    known: dict[str, Any] = {"alerts": [one, file_alert], "past": past, "history": {"mass_missing": seen, "was": seen}}
    known["files"] = [file | {"rows_read": 1, "rows_stored": 1, "rows_quarantined": 0, "updated_at": 0}]
    known["samples"] = {"a": SampleRows(("mass", "who"), frozenset({"mass"}), [(("f00", 7), ["missing", "#a1"])], True)}
    return data(**(known | changed))


def test_every_chart_has_words_and_every_part_of_a_page_is_where_it_may_be() -> None:
    for page in (report_page(full()), report_page(data()), overview_page([full(), data()][:1], ["empty"], 0)):
        assert parsed(page).charts
    words = [chart["aria-label"] or "" for chart in parsed(report_page(full())).charts]
    assert any(text.startswith("mass_missing in 3 windows") and "broken in 1, last 2 %" in text for text in words)
    assert any(text.startswith("not in set: 2 rows") for text in words)


def test_problem_says_what_since_when_where_and_what_to_do_and_shows_rows() -> None:
    page = report_page(full())
    assert "file may.csv" in page
    assert "50 % of the cases, 2.0 times its share of all rows" in page
    assert "may.csv, row 7" in page
    assert "mass *" in page
    assert "only equal values share" in page
    assert "What to do: " in page
    assert "It was bad." in page
    assert "Demanded: good." in page


def test_silenced_problem_is_under_alerts_alone() -> None:
    page = report_page(full(alerts=[alert(silenced=True, message="orders: hush hush")], history={}))
    assert page.count("hush hush") == 1
    assert "open, silenced" in page


def test_history_of_a_rule_on_a_personal_field_is_not_drawn() -> None:
    shown = full(mask=Mask({"mass"}))
    assert "mass_missing in 3 windows" not in report_page(shown)
    assert "mass_missing in 3 windows" in report_page(full())


def colours(scheme: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", scheme))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_by_day_and_by_night() -> None:
    light, dark = STYLE.split("prefers-color-scheme:dark", 1)
    night = dark.split("}}", 1)[0]
    by_scheme = {"light": colours(light), "dark": colours(light) | colours(night)}
    assert len(colours(night)) == len(colours(light)), "a colour of the day would stay at night"
    for scheme, found in by_scheme.items():
        for text in ("ink", "soft", "accent", "good", "warn", "bad"):
            for ground in ("paper", "card"):
                bright, dim = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= 4.5, (scheme, text, ground)


def test_paper_has_the_evidence_and_the_colours_of_the_day() -> None:
    printed = STYLE.split("@media print", 1)[1]
    assert "details::details-content{content-visibility:visible" in printed
    assert "display:none" not in printed.replace(".skip{display:none}", "")
    assert "screen and (prefers-color-scheme:dark)" in STYLE
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_page_of_all_datasets_tells_the_worst_first_and_asks_nothing_of_anybody() -> None:
    good = replace(data(alerts=[], advice=[]), dataset="fine")
    bad = replace(full(), dataset="bad", owner="Ann")
    page = overview_page([good, bad], ["empty"], DAY)
    seen = parsed(page)
    assert page.index('id="dataset-bad"') < page.index('id="dataset-fine"')
    assert "3 datasets, 1 of them with findings that need attention" in page
    assert "empty: no closed window yet" in page
    for told in (
        "owner: Ann",
        "2 critical",
        "1 of 2",
        "90.0",
        "Score of 3 windows",
        "who: 3 % missing, usually",
        "do.",
    ):
        assert told in page
    assert "script" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in {"src", "style"}]
    assert "http" not in page.replace("http-equiv", "")
    assert "Geheimrat" not in overview_page([secret(mask=Mask({"who"}))[0]], [], 0)
    assert "Geheimrat" in overview_page([secret()[0]], [], 0)


def test_page_of_many_datasets_stays_under_its_limit() -> None:
    many = [replace(full(), dataset=f"a_rather_long_name_of_a_dataset_{at}") for at in range(500)]
    page = overview_page(many, [f"empty_{at}" for at in range(500)], 0)
    assert len(page.encode()) < MOST_BYTES
    parsed(page)
    assert "The first 60 datasets; the others are in the table." in page


def test_page_of_no_dataset_reads() -> None:
    assert "No dataset has a closed window yet" in overview_page([], [], 0)
    parsed(overview_page([], [], 0))


def test_void_elements_and_attributes_are_written_as_html_has_them() -> None:
    assert element("rect", x=1, class_="a", aria_label=None) == '<rect x="1" class="a"/>'


def test_card_of_advice_tells_confidence_query_and_what_following_it_did() -> None:
    page = report_page(data(advice=[advice(state="moved", measured="30 % before, 1 % after: it moved")]))
    for told in ("62%", "30 % before, 1 % after: it moved", "SELECT 1"):
        assert told in page
    hidden = report_page(data(advice=[advice(query="SELECT mass")], mask=Mask({"mass"})))
    assert "SELECT mass" not in hidden, "a query of a field that is not shown may hold its values"
