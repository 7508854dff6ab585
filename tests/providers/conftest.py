"""What litellm leaves open is closed with its module: in a test of another it would fail that test."""

import gc
import sys
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _connections_of_litellm() -> Iterator[None]:
    yield
    if "litellm" in sys.modules:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()
