"""Of keys whose detector gives the head that all have, each one of a line is found."""

import time

import pytest

from promptops.privacy.kinds import find_secret_texts

KEYS = ("ghp_aB3dE5gH7jK9mN1pQ3sT5vX7zA2cF4hJ6kL8", "ghp_zZ3dE5gH7jK9mN1pQ3sT5vX7zA2cF4hJ6kL9")


@pytest.mark.parametrize("keys", [KEYS, (KEYS[0], KEYS[0]), (*KEYS, KEYS[0])])
def test_each_key_of_a_line_is_found(keys: tuple[str, ...]) -> None:
    text = " and ".join(keys)
    left = text
    for start, end in find_secret_texts(text):
        left = left[:start] + "_" * (end - start) + left[end:]
    assert not [key for key in keys if key[4:] in left]


def test_the_head_alone_is_no_key_and_takes_no_time() -> None:
    text = f"{KEYS[0]} ghp_ ghp ghpages " + "ghp" * 100_000
    clock = time.process_time()
    spans = {*find_secret_texts(text)}
    assert time.process_time() - clock < 5
    assert (0, len(KEYS[0])) in spans
    assert not [span for span in spans if text[slice(*span)] in ("ghp_", "ghp", "ghpages")]
