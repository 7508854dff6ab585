"""Input that nobody meant, and what may come of it: a value, or an error that says what is wrong."""

import copy
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from promptops.errors import PromptopsError

CPU_SECONDS = 5.0  # of one input; a reader that takes longer does not end in time
_BY_HAND = "PROMPTOPS_FUZZ_EXAMPLES"


# In CI the same commit meets the same examples, so that a red run is the change's own fault.
_IN_CI = bool(os.environ.get("CI"))


def default_settings() -> settings:
    """Of a property that says nothing else. A busy machine is slow, not wrong."""
    return settings(max_examples=int(os.environ.get(_BY_HAND, "25")), derandomize=_IN_CI, deadline=None)


def fuzz_settings(weight: int) -> settings:
    """A few examples, the same each time; as many others as the environment says, as in a stage of CI."""
    number = os.environ.get(_BY_HAND)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=int(number or max(10, weight // 3)),
        derandomize=number is None or _IN_CI,
        deadline=None,
        suppress_health_check=checks,
    )


def settle(read: Callable[[], Any]) -> Any:
    """What a reader gives, or the error of promptops that it raises; any other exception goes through."""
    started = time.process_time()
    try:
        result = read()
    except PromptopsError as error:
        result = error
    assert time.process_time() - started < CPU_SECONDS
    return result


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [2**53, -1, 10**400, 1e300, "", "0", "é", "\ud800", "\0", "\r\n", "a" * 300, "~nobody/x", "NaN"]
    )
    | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DEEP = st.builds(
    lambda depth, pair: pair[0] * depth + pair[1] * depth,
    st.integers(50, 1200) | st.sampled_from([940, 960, 975, 985, 990, 995, 100_000]),
    st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ('{"a":[', "]}")]),
).filter(lambda text: ":}" not in text)
_DEPTH_MARK = "\ue000deep\ue000"


@st.composite
def damaged_data(draw: st.DrawFn, samples: Sequence[Any]) -> Any:
    """One of the samples, in which some values, wherever they stand, are others, missing or new."""
    data = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 4))):
        data = _damage(draw, data)
    return data


def _damage(draw: st.DrawFn, data: Any) -> Any:
    keys = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    if not keys or draw(st.integers(0, 9)) == 0:
        return draw(VALUES | st.just(_DEPTH_MARK))
    key = draw(st.sampled_from(keys))
    if draw(st.integers(0, 9)) == 0:
        del data[key]
    elif isinstance(data, dict) and draw(st.integers(0, 19)) == 0:
        data[draw(st.text(max_size=8))] = draw(VALUES)
    else:
        data[key] = _damage(draw, data[key])
    return data


@st.composite
def damaged_json(draw: st.DrawFn, samples: Sequence[Any]) -> bytes:
    """As text, with values that are nested deeper than most."""
    text = json.dumps(draw(damaged_data(samples)), ensure_ascii=draw(st.booleans()))
    if _DEPTH_MARK in text or json.dumps(_DEPTH_MARK) in text:
        deep = draw(DEEP)
        for mark in (json.dumps(_DEPTH_MARK), f'"{_DEPTH_MARK}"'):
            text = text.replace(mark, deep)
    return draw(damaged_bytes([text.encode("utf-8", "surrogatepass")], most=2))


@st.composite
def damaged_bytes(draw: st.DrawFn, samples: Sequence[bytes], most: int = 6) -> bytes:
    """One of the samples with stretches of it cut out, repeated or replaced; now and then anything at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        new = draw(st.binary(max_size=6) | st.sampled_from(_PIECES) | st.just(data[start:end] * 2))
        data = data[:start] + new + data[end:]
    return data


_PIECES = [
    b"\n", b"\r\n", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b'"', b"'",
    b"{", b"}", b"[", b"]", b":", b": ", b"- ", b",", b"#", b"&a ", b"*a", b"!!int ", b"<<: ", b"? ", b"| ",
    b"> ", b"---\n", b"%YAML 9.9\n", b"@", b"`", b"{{", b"}}", b"{%", b"%}", b"null", b"1e999", b"NaN",
    b"9" * 5000, b"0x", b"0o9",
]  # fmt: skip


def chunks(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data cut at these places, wherever they are."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]
