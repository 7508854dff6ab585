from collections.abc import Iterator

import pytest

from support.front_door import Cli, Repo
from support.greet_releases import go_live
from support.page_client import PageClient, serving_pages


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    """A repository where ``greet:production`` is live as v1."""
    go_live(cli, repo)
    return repo


@pytest.fixture
def pages(live: Repo) -> Iterator[PageClient]:
    with serving_pages(live.path) as client:
        client.sign_in()
        yield client
