from collections.abc import Iterator

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import go_live
from support.provider import Provider


@pytest.fixture
def live(cli: Cli, repo: Repo, provider: Provider) -> Repo:
    """A repository where ``greet:production`` is live as v1."""
    go_live(cli, repo)
    return repo


@pytest.fixture
def client(live: Repo) -> Iterator[Client]:
    with running_gateway(live.path) as running:
        yield running
