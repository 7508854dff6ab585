"""What runs say of metrics, and what the profile of inputs knows."""

import json
from typing import Any

import pytest

from promptops.monitoring.profile import InputProfile
from promptops.monitoring.values import (
    input_values,
    last_attempt,
    logged_inputs,
    probe_values,
    quality_values,
)
from promptops.providers.types import REFUSAL

RUN: dict[str, Any] = {
    "error_type": None,
    "state": "finished",
    "checks_failed": None,
    "finish_reason": "stop",
    "output": None,
    "output_hash": None,
    "cache_source": None,
    "cost_usd": 0.5,
    "cost_list_usd": None,
    "latency_ms": None,
    "output_tokens": 3,
    "case_id": "c",
    "inputs": None,
    "attempts": None,
}
HIT, CACHED = {"cache_source": "01"}, {"errors": 0.0, "cache_hits": 1.0}


def run(**fields: Any) -> dict[str, Any]:
    return {**RUN, **fields}


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({}, {"errors": 0.0, "cache_hits": 0.0, "output_tokens": 3.0, "cost_usd": 0.5}),
        ({"cost_list_usd": 0.7}, {"errors": 0.0, "cache_hits": 0.0, "output_tokens": 3.0, "cost_usd": 0.7}),
        (HIT, CACHED),
        ({**HIT, "output": "I'm sorry, I can't help with that."}, {**CACHED, "refusals": 1.0}),
        ({**HIT, "finish_reason": REFUSAL}, {**CACHED, "refusals": 1.0}),
        ({**HIT, "checks_failed": 2}, {**CACHED, "failed_checks": 1.0}),
        ({"state": "interrupted"}, {"errors": 1.0}),
        ({"error_type": "timeout"}, {"errors": 1.0}),
    ],
)  # fmt: skip
def test_a_run_says_of_each_metric_what_it_knows(fields: dict[str, Any], known: dict[str, float]) -> None:
    assert quality_values(run(**fields)) == known


def test_a_probe_is_held_against_answers_that_are_known() -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
    known = {"c": [digest[:8]]}
    assert probe_values(run(output="hello"), known)["probe_changed"] == 0.0
    assert probe_values(run(output_hash=digest), known) == {"probe_errors": 0.0, "probe_changed": 0.0}
    assert probe_values(run(output="bye", latency_ms=5.0, checks_failed=0), known) == {
        "probe_errors": 0.0, "probe_changed": 1.0, "probe_refusals": 0.0, "probe_chars": 3.0,
        "probe_latency_ms": 5.0, "probe_failed_checks": 0.0,
    }  # fmt: skip
    assert "probe_changed" not in probe_values(run(output="bye"), None)
    assert "probe_changed" not in probe_values(run(), known)
    assert probe_values(run(error_type="timeout"), known) == {"probe_errors": 1.0}


def test_what_is_no_json_says_nothing() -> None:
    assert logged_inputs(run(inputs="{")) is None
    assert logged_inputs(run(inputs="[1]")) is None
    assert logged_inputs(run(inputs='{"a": 1}')) == {"a": 1}
    assert last_attempt(run(attempts="{")) == {}
    assert last_attempt(run(attempts="[1]")) == {}
    assert last_attempt(run(attempts='[{"model": "m"}]')) == {"model": "m"}


def test_inputs_by_form() -> None:
    profile = InputProfile()
    assert input_values({"a": "ABc", "b": " "}, profile) == {
        "input_chars": 4.0, "empty_inputs": 1.0, "structured_inputs": 0.0, "capitals": 2 / 3,
    }  # fmt: skip
    assert input_values({"a": '{"x": 12}'}, profile)["structured_inputs"] == 1.0
    assert input_values({"a": 12}, profile) == {"input_chars": 0.0}
    assert "capitals" not in input_values({"a": "12"}, profile)


def test_a_profile_learns_for_a_week_and_then_compares() -> None:
    profile = InputProfile()
    for night in range(8):
        for text in (
            "Where is my parcel, please? I ordered it last week.",
            "My parcel is late again, I want it.",
        ):
            profile.learn(f"2026-11-{night + 1:02}", {"ticket": text, "urgency": "low", "floor": 3})
    assert profile.fixed
    again = InputProfile.from_json(json.loads(json.dumps(profile.to_json())))
    assert again == profile
    same = {"ticket": "Where is my parcel, please? I ordered it last week.", "urgency": "low"}
    assert again.novelty(same) == 0.0
    assert again.has_new_value(same) is False
    assert again.has_new_value({"urgency": "soon"}) is True
    assert again.has_new_value({"urgency": "as soon as you can, and before the week ends"}) is True
    assert again.has_new_value({"ticket": "anything"}) is None  # long texts are no enumeration
    other = again.novelty({"ticket": "Bitte setzen Sie das Kennwort zurück"})
    assert other is not None
    assert other > 0.8
    assert again.novelty({"ticket": ""}) == 1.0  # what is compared then is its JSON
    values = input_values({"ticket": "Bitte setzen Sie mein Kennwort zurück", "urgency": "low"}, again)
    assert values["new_values"] == 0.0
    assert values["novelty"] > 0.8


def test_an_input_of_many_values_is_no_enumeration() -> None:
    profile = InputProfile()
    for number in range(60):
        profile.learn("2026-11-01", {"code": f"A{number}"})
    assert profile.has_new_value({"code": "B1"}) is None


def test_another_language_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("py3langid")
    profile = InputProfile()
    for text in ("Where is my parcel, please? I ordered it last week.",) * 3:
        profile.learn("2026-11-01", {"ticket": text})
    german = {"ticket": "Bitte setzen Sie das Kennwort von meinem Konto zurück, ich komme nicht hinein"}
    assert profile.is_other_language(german) is True
    assert profile.is_other_language({"ticket": "I have not got my parcel, where is it please?"}) is False
    assert profile.is_other_language({"ticket": "short"}) is None
    monkeypatch.setitem(__import__("sys").modules, "py3langid", None)  # the extra is not installed
    assert profile.is_other_language(german) is None
