"""The plans that there are without a file, as they would be written in one."""

from collections.abc import Mapping
from typing import Any

_ERROR_RATE = {"name": "error_rate", "kind": "binary", "source": "run.error", "worse": "higher"}
_CHECKS = {"name": "checks", "kind": "binary", "source": "checks.pass", "worse": "lower"}
_LATENCY = {"name": "latency", "kind": "ratio", "source": "run.latency_ms", "worse": "higher"}
_COST = {"name": "cost", "kind": "ratio", "source": "run.cost_list_usd", "worse": "higher"}

_DEFAULT: Mapping[str, Any] = {
    "eval": {"require": "undecided_ok", "against": "stable", "margin": 0.03},
    "shadow": None,
    "unit": "session",
    "steps": [
        {"weight": 5, "min_canary": 50, "min_duration": "1h"},
        {"weight": 25, "min_canary": 150, "min_duration": "4h"},
        {"weight": 50, "min_duration": "24h"},  # never above 50: the control starves and evidence slows
    ],
    "approval": None,
    "promote": {"require": "all_guards", "goals": []},
    "quality": None,
    "slices": None,
    "on_inconclusive": "hold",
    "deadline": "14d",
    "alpha": {"rollback": 0.05, "promote": 0.05, "srm": 0.001},
    "observe": {"call_timeout": "120s", "feedback_window": "24h"},
    "metrics": [
        {**_ERROR_RATE, "role": "guard", "margin": 0.02},
        {**_CHECKS, "role": "guard", "margin": 0.03},  # only where the prompt has checks
        {**_LATENCY, "role": "guard", "margin": 1.20},
        {**_COST, "role": "signal", "margin": 1.25},
    ],
}

_LOW_TRAFFIC: Mapping[str, Any] = {
    **_DEFAULT,
    "steps": [{"weight": 10, "min_canary": 20, "min_duration": "24h"}, {"weight": 50}],
    "metrics": [
        {**_ERROR_RATE, "role": "guard", "margin": 0.02},
        {**_CHECKS, "role": "guard", "margin": 0.04},
        {**_LATENCY, "role": "guard", "margin": 1.20},
        {**_COST, "role": "signal", "margin": 1.25},
    ],
}

BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "default": _DEFAULT,
    "direct": {**_DEFAULT, "steps": []},
    "lean": _LOW_TRAFFIC,  # for about 200 calls a day: proof comes fastest at 50 %
    "shadow-first": {
        **_LOW_TRAFFIC,
        "shadow": {"require": "not_worse", "sample": 600, "min_pairs": 100, "margin": 0.04},
        "promote": {"require": "shadow_and_no_harm", "goals": [], "min_calls": 800},
    },
    # for trials: it decides within minutes, by wide margins
    "quick": {
        **_DEFAULT,
        "eval": None,
        "unit": "call",
        "quality": "optional",
        "steps": [{"weight": 50, "min_canary": 50}],
        "metrics": [
            {**_ERROR_RATE, "role": "guard", "margin": 0.10},
            {**_CHECKS, "role": "guard", "margin": 0.15},
        ],
    },
}
CHANNEL_PLANS: Mapping[str, str] = {"staging": "direct", "production": "default"}


def base_plan(name: str) -> Mapping[str, Any]:
    """What a plan of this name takes what it leaves out from."""
    return BUILT_IN.get(name, _DEFAULT)
