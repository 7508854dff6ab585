"""Clusters of Ray for tests: one for each command, or one of two nodes for a file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.front_door import Repo
from support.provider import Provider
from support.ray_commands import RayCommands, TwoNodes, ray_cluster, ray_python, wait_until_gone


@pytest.fixture
def commands(greeting: Repo, provider: Provider, tmp_path: Path) -> Iterator[RayCommands]:
    """For a cluster of its own (``--on ray``), at the test's provider."""
    made = RayCommands(greeting, ray_python(), str(tmp_path))
    yield made
    wait_until_gone(made.mark)


@pytest.fixture(scope="module")
def started_nodes() -> Iterator[TwoNodes]:
    ray_python()
    with Provider() as provider:
        at = f"http://127.0.0.1:{provider.port}"
        nodes = [
            {"OPENAI_BASE_URL": f"{at}/{name}/v1", "OPENAI_API_KEY": f"sk-of-{name}"}
            for name in ("one", "two")
        ]
        with ray_cluster(nodes) as address:
            yield TwoNodes(address, provider)


@pytest.fixture
def nodes(started_nodes: TwoNodes) -> TwoNodes:
    started_nodes.provider.requests.clear()
    return started_nodes


@pytest.fixture
def on_nodes(greeting: Repo, nodes: TwoNodes, tmp_path: Path) -> RayCommands:
    """For the cluster of two nodes; the machine that begins the batch has no key."""
    environment = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": ""}
    return RayCommands(greeting, ray_python(), str(tmp_path), environment)
