from hashlib import sha256
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.release.assignment import bucket, on_canary, salt_of

ZEROS, FS = "0" * 64, "f" * 64


def test_the_salt_holds_the_canary_and_not_the_rollout() -> None:
    assert salt_of("support/triage", "production", ZEROS) == f"support/triage/production/sha256:{ZEROS}"
    assert salt_of("a", "production", ZEROS, 3) == f"a/production/sha256:{ZEROS}/3"


@pytest.mark.parametrize(
    ("salt", "unit", "expected"),
    [
        (f"greet/production/sha256:{ZEROS}", "user-1", 640),
        (f"support/triage/production/sha256:{'4c1d' * 16}", "a", 4867),
        (f"x/staging/sha256:{FS}", "", 8784),
        (f"é/production/sha256:{'b' * 64}", "日本", 1224),
    ],
)
def test_buckets_never_change(salt: str, unit: str, expected: int) -> None:
    # other implementations, and rollouts that are under way, rely on these
    assert bucket(salt, unit) == expected


def test_the_formula() -> None:
    drawn = sha256(b"promptops/assign/v1\0" + b"salt" + b"\0" + b"unit").digest()
    assert bucket("salt", "unit") == int.from_bytes(drawn[:8], "big") * 10_000 >> 64


@given(st.text(), st.text(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_raising_the_weight_never_moves_a_unit_back(salt: str, unit: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert 0 <= bucket(salt, unit) < 10_000
    assert on_canary(salt, unit, high) or not on_canary(salt, unit, low)
    assert on_canary(salt, unit, 10_000)
    assert not on_canary(salt, unit, 0)


@given(st.text(alphabet=st.characters(categories=("Cs", "L", "Cc"))))
def test_whatever_unit_has_a_bucket(unit: str) -> None:
    assert bucket("salt", unit) == bucket("salt", unit)


@pytest.mark.parametrize("weight_bp", [1, 500, 2500, 5000])
def test_the_share_of_units_is_the_weight(weight_bp: int) -> None:
    units = 40_000
    met = sum(on_canary("s/production/sha256:1", f"user-{number}", weight_bp) for number in range(units))
    expected = units * weight_bp / 10_000
    assert abs(met - expected) < 4 * expected**0.5 + 1


def test_two_canaries_meet_different_units() -> None:
    both = [
        on_canary("p/production/sha256:a", f"{number}", 5000)
        and on_canary("p/production/sha256:b", f"{number}", 5000)
        for number in range(10_000)
    ]
    assert 2250 < sum(both) < 2750  # a quarter: as independent as coins


@pytest.mark.no_cover
def test_an_assignment_takes_microseconds() -> None:
    start = thread_time()
    for number in range(20_000):
        on_canary("support/triage/production/sha256:4c1d", str(number), 500)
    assert thread_time() - start < 0.5  # 25 µs each on a busy machine; about 2 on a free one
