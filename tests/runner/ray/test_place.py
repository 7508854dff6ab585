"""``--on``: what is a place, and what is said where there is none."""

import importlib.util

import pytest

from support.batch_files import write_lines
from support.front_door import Cli, Repo
from support.provider import Provider

BATCH = ("batch", "greet", "in.jsonl")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "spark",
        "ray:",
        "ray://",
        "ray://host:x",
        "ray:/host",
        "ray://h/p",
        "ray:host",
        "RAY",
    ],
)
@pytest.mark.parametrize("verb", [BATCH, ("eval", "greet"), ("shadow", "run", "greet")])
def test_what_is_no_place_is_refused(
    verb: tuple[str, ...], given: str, greeting: Repo, provider: Provider, cli: Cli
) -> None:
    write_lines(greeting, 2)
    refused = cli(*verb, "--on", given)
    assert refused.code == 2
    assert f"--on {given}: not a place to make calls on" in refused.err
    assert "ray://HOST:10001" in refused.err
    assert not provider.requests


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
@pytest.mark.parametrize(
    "given", ["ray", "ray:auto", "ray:10.0.0.1:6379", "ray://head", "ray://10.0.0.1:10001"]
)
def test_a_place_without_ray_names_the_extra(
    given: str, greeting: Repo, provider: Provider, cli: Cli
) -> None:
    write_lines(greeting, 2)
    refused = cli(*BATCH, "--on", given)
    assert refused.code == 4
    assert f"--on {given} needs Ray" in refused.err
    assert "pip install 'git-promptops[ray]'" in refused.err
    assert not provider.requests
