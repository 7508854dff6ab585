"""The clock that moments are logged by: this host's, or that of the server that keeps the log."""

import time

import pytest

from promptops.config.clock import (
    follow_clock,
    format_timestamp,
    utc_moment,
    utc_now,
    utc_seconds,
    utc_text,
)


def ahead() -> float:
    return utc_moment() - time.time()


@pytest.mark.parametrize("wrong_by", [90.0, -90.0, 3_600.0])
def test_a_host_whose_clock_is_wrong_dates_by_the_server(wrong_by: float) -> None:
    asked = time.time()
    follow_clock(asked + wrong_by + 0.01, asked, asked + 0.02)
    assert ahead() == pytest.approx(wrong_by, abs=0.01)
    assert utc_seconds(utc_now()) == pytest.approx(time.time() + wrong_by, abs=0.5)


@pytest.mark.parametrize(("theirs", "took"), [(0.9, 0.0), (-0.9, 0.0), (0.0, 5.0), (5.0, 5.0), (3.0, 5.0)])
def test_a_clock_that_may_be_right_is_left_alone(theirs: float, took: float) -> None:
    """What the answer took may be all that they differ by."""
    follow_clock(1_000.0 + theirs, 1_000.0, 1_000.0 + took)
    assert ahead() == pytest.approx(0.0, abs=0.01)


def test_a_clock_that_was_set_right_is_followed_no_longer() -> None:
    follow_clock(1_090.0, 1_000.0, 1_000.0)
    follow_clock(1_000.1, 1_000.0, 1_000.0)
    assert ahead() == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("year", ["0001", "0300", "0999", "1970", "9999"])
def test_texts_of_any_year_sort_as_time_does(year: str) -> None:
    moment = f"{year}-01-01T00:00:00"
    assert utc_text(utc_seconds(moment)) == f"{moment}.000Z"
    assert format_timestamp(utc_seconds(moment)) == f"{moment}Z"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_of_no_year_that_iso_dates_have_is_refused(moment: str) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        utc_seconds(moment)
