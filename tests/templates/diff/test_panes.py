"""Panes: the mail before is put together from the one after and the rows that only it had."""

from service.templates.diff.album import OLD_MARGIN_PX, Band, Picture, Pictures
from service.templates.diff.panes import Pane, differs_elsewhere, pane_after, pane_before, pane_difference

AFTER = Picture("data:after", 600, 100)
MARGIN = OLD_MARGIN_PX


def rows(pane: Pane | None) -> list[tuple[str, int, int, int, str]]:
    assert pane is not None
    assert pane.height == sum(one.height for one in pane.segments)
    return [(one.uri[5:], one.top, one.height, one.y, one.mark) for one in pane.segments]


def test_pane_marks_the_columns_when_rows_change_in_place() -> None:
    pictures = Pictures(AFTER, Picture("data:old", 600, 10 + 2 * MARGIN), [Band((40, 50), (40, 50), 30, 90)])
    assert rows(pane_before(pictures)) == [
        ("after", 0, 40, 0, "same"), ("old", MARGIN, 10, 40, "same"), ("after", 50, 50, 50, "same")
    ]  # fmt: skip
    assert rows(pane_after(pictures)) == [("after", 0, 100, 0, "same")]
    difference = pane_difference(pictures)
    assert rows(difference)[1] == ("after", 40, 10, 40, "changed")
    assert difference is not None and (difference.segments[1].left, difference.segments[1].width) == (30, 60)


def test_pane_shows_what_goes_above_what_comes() -> None:
    bands = [Band((10, 30), (10, 10), 0, 600), Band((60, 65), (40, 60), 0, 600)]
    pictures = Pictures(AFTER, Picture("data:old", 600, 25 + 4 * MARGIN), bands)
    assert rows(pane_difference(pictures)) == [
        ("after", 0, 10, 0, "same"), ("old", MARGIN, 20, 10, "out"), ("after", 10, 30, 30, "same"),
        ("old", 20 + 3 * MARGIN, 5, 60, "out"), ("after", 40, 20, 65, "in"), ("after", 60, 40, 85, "same"),
    ]  # fmt: skip
    before = pane_before(pictures)
    assert before is not None and before.height == 105


def test_pane_is_none_when_a_side_has_no_such_mail() -> None:
    new = Pictures(AFTER, has_before=False)
    gone = Pictures(None, Picture("data:old", 600, 50 + 2 * MARGIN), [Band((0, 50), (0, 0), 0, 600)], has_after=False)
    assert (pane_before(new), pane_difference(new), pane_after(gone), pane_difference(gone)) == (None,) * 4
    assert rows(pane_after(new)) == [("after", 0, 100, 0, "same")]
    assert rows(pane_before(gone)) == [("old", MARGIN, 50, 0, "same")]


def test_views_differ_elsewhere_when_a_place_changes_in_one_alone() -> None:
    light = Pictures(AFTER, None, [Band((10, 20), (10, 20), 0, 100)])
    wider = Pictures(AFTER, None, [Band((10, 24), (10, 24), 0, 120)])
    beside = Pictures(AFTER, None, [*light.bands, Band((10, 20), (10, 20), 200, 240)])
    below = Pictures(AFTER, None, [Band((60, 70), (60, 70), 0, 100)])
    assert [differs_elsewhere(one, light) for one in (light, wider, beside, below)] == [False, False, True, True]
    assert not differs_elsewhere(light, beside)
