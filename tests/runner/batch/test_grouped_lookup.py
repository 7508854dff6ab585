"""Kept replies are looked for together, and not at all where there are none."""

import asyncio

import pytest

from promptops.registry import RegistryDatabase, ReplyCache
from promptops.runner.batch.grouped_lookup import GroupedLookup
from support.batch_files import rows, write_lines
from support.front_door import Cli, Repo
from support.provider import Provider


@pytest.mark.sqlite
def test_one_turn_of_the_event_loop_is_one_query(cli: Cli, greeting: Repo, provider: Provider) -> None:
    write_lines(greeting, 3)
    assert cli("batch", "greet", "in.jsonl", "--out", "out.jsonl").code == 0
    made = {row["cache_key"]: row["run_id"] for row in rows(greeting)}
    statements: list[str] = []

    async def look(lookup: GroupedLookup) -> list[dict[str, str]]:
        some = [lookup.find([key, "of nobody"]) for key in made]
        found = await asyncio.gather(*some, lookup.find([]))
        return [{key: reply.run_id for key, reply in each.items()} for each in found]

    with RegistryDatabase.open(greeting.registry) as registry:
        replies = ReplyCache.open(registry)
        assert replies is not None
        registry._connection.set_trace_callback(statements.append)  # noqa: SLF001 - nothing public counts queries
        found = asyncio.run(look(GroupedLookup(replies)))
    assert len(statements) == 1
    assert len(made) == 3
    assert all(each.items() >= {key: made[key]}.items() for key, each in zip(made, found, strict=False))


def test_a_registry_without_replies_is_not_looked_into(cli: Cli, greeting: Repo, provider: Provider) -> None:
    write_lines(greeting, 3)
    assert cli("batch", "greet", "in.jsonl", "--out", "out.jsonl", "--no-cache").code == 0
    with RegistryDatabase.open(greeting.registry) as registry:
        assert ReplyCache.open(registry) is None
