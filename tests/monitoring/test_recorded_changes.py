"""Recorded answers of one model in March and in June: what changed is found, halves of either are alike.

``LLMDrift`` (Chen, Zaharia and Zou 2023). Every item is a probe: a week of March's answers, then June's
twice, as probes are asked again. The later half of one version counts twice as well, which is no help to it.
"""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.monitoring.check import LookRequest, check_target
from promptops.monitoring.look import ServedVersion
from promptops.registry import RegistryDatabase
from support.logged_runs import DIGEST, a_run, an_end, check
from support.watched_logs import DAY, today

FILES = ("prime-gpt35", "prime-gpt4", "sensitive-gpt35", "sensitive-gpt4")


def items(shared: Path, file: str) -> Iterator[dict[str, Any]]:
    with (shared / "data" / "llmdrift" / f"{file}.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def tasks(shared: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for file in FILES:
        for item in items(shared, file):
            found.setdefault(item["task"], []).append(item)
    return found


def differs(shared: Path) -> dict[str, bool]:
    """Whether the answers to a task differ by the authors' own measure."""
    truth: dict[str, bool] = {}
    for file in FILES:
        known = json.loads((shared / "data" / "llmdrift" / f"truth-{file}.json").read_text(encoding="utf-8"))
        truth |= {name: one["mcnemar_exact_p"] < 0.05 for name, one in known.items() if name[0] != "_"}
    return truth


def log(registry: RegistryDatabase, answers: list[Mapping[str, Any]], ago: int, nights: int) -> None:
    for night in range(nights):
        registry.record([
            (
                a_run(
                    prompt="task",
                    kind="probe",
                    channel="production",
                    version="v1",
                    case_id=f"c{night}-{number}",
                    started_at=utc_text(today() - (ago - night) * DAY + 60),
                ),
                an_end(
                    output=answer["output"],
                    latency_ms=answer["latency_s"] * 1000,
                    cost_usd=answer["cost_usd"],
                    checks=[check(passed=answer["correct"])],
                ),
            )
            for number, answer in enumerate(answers[night::nights])
        ])  # fmt: skip


def alarmed(path: Path, before: list[Mapping[str, Any]], after: list[Mapping[str, Any]]) -> set[str]:
    with RegistryDatabase.open(path) as registry:
        log(registry, before, 12, 7)
        log(registry, after, 5, 2)
        log(registry, after, 3, 2)
        served, request = ServedVersion(DIGEST, "", "v1"), LookRequest(now=today())
        found = check_target(registry, "task", "production", served, request)
    states = {each.name: each.state for each in found.metrics}
    assert states.pop("probe_chars") in ("quiet", "alarm"), "nothing was looked at"
    return {alarm.metric for alarm in found.alarms}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 10))]
)
def test_march_and_june_differ_and_halves_of_either_do_not(shared: Path, tmp_path: Path, seed: int) -> None:
    truth = differs(shared)
    for number, (task, found) in enumerate(tasks(shared).items()):
        random.Random(seed).shuffle(found)
        march = [item["baseline"] for item in found]
        june = [item["candidate"] for item in found]
        assert truth[task]
        assert alarmed(tmp_path / f"{number}.db", march, june), task
        for name, one in (("march", march), ("june", june)):
            half = len(one) // 2
            assert alarmed(tmp_path / f"{number}{name}.db", one[:half], one[half:]) == set(), (task, name)
