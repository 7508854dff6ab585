"""The JSON Schema of one release plan, as ``plans`` in promptops.yaml holds them.

Only data, so that ``settings`` can show it for the price of a dict. What it says is enforced by
``release.plan``, when a plan is used.
"""

from typing import Any

DURATION_SCHEMA: dict[str, Any] = {
    "type": ["number", "string"],
    "minimum": 0,
    "description": "Seconds, or a number with a unit: 90s, 30m, 1h, 14d.",
}
GATE_SCHEMA: dict[str, Any] = {
    "type": "string",
    "enum": ["undecided_ok", "not_worse"],
    "description": "undecided_ok: only `worse` stops it. not_worse: it has to be shown.",
}
_ALPHA: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}
_NAME: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"}


def _mapping(description: str, properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": properties,
    }
    return schema | ({"required": list(required)} if required else {})


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": ["object", "null"]}


_METRIC = _mapping(
    "One figure that canary and stable are compared by.",
    {
        "name": _NAME,
        "kind": {"type": "string", "enum": ["binary", "ratio", "score"]},
        "source": {
            "type": "string",
            "description": "run.COLUMN, check.NAME, checks.pass, outcome.NAME, judge.PROMPT, or a comparison "
            "such as run.latency_ms > 8000.",
        },
        "worse": {"type": "string", "enum": ["higher", "lower"], "description": "Which values are bad."},
        "role": {
            "type": "string",
            "enum": ["guard", "signal", "goal", "hard"],
            "description": "guard: can roll back, and must be not worse. signal: pauses only. goal: must be "
            "better. hard: the first bad value on the canary rolls back.",
            "default": "guard",
        },
        "margin": {
            "type": "number",
            "description": "How much worse is accepted: 0.03 is 3 points; of a ratio, 1.2 is 20 % more.",
        },
        "tail": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 0.9,
            "description": "Of a ratio: how much more often a call may be above stable's 95th percentile. "
            "Default: 0.05, five points; null for no such guard.",
        },
        "tag": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "Only calls with this tag (metadata.tags) count.",
        },
        "window": DURATION_SCHEMA
        | {"description": "How long after a call its outcome counts. Default: observe.feedback_window."},
        "missing": {
            "type": "string",
            "enum": ["good", "bad", "exclude"],
            "description": "What a call without a value counts as. Default: exclude; of thumbs, good.",
        },
        "sample": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "The share of calls that are drawn for the judge. Default: all.",
        },
        "range": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 2,
            "maxItems": 2,
            "description": "The lowest and the highest value of a score.",
        },
    },
    ("name", "kind", "source", "worse", "margin"),
)

_STEP = _mapping(
    "A weight with what must be met there, or a stop for a person.",
    {
        "weight": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 50,
            "description": "Percent of units that meet the canary; above 50 the control starves.",
        },
        "min_canary": {"type": "integer", "minimum": 0, "description": "Canary calls scored in this step."},
        "min_duration": DURATION_SCHEMA,
        "approval": {"type": "string", "enum": ["manual"], "description": "promptops release approve"},
        "reviewed": {
            "type": "integer",
            "minimum": 1,
            "description": "So many outputs of the canary must have been read by a person.",
        },
    },
)

PLAN_SCHEMA: dict[str, Any] = _mapping(
    "A release plan. What it leaves out is taken from the built-in plan of its name, else from `default`.",
    {
        "eval": _or_null(
            _mapping(
                "What the golden set has to say before the first user meets the canary; null for nothing.",
                {
                    "require": GATE_SCHEMA,
                    "against": {"type": "string", "enum": ["stable"]},
                    "margin": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                },
            )
        ),
        "shadow": _or_null(
            _mapping(
                "Logged calls of stable, answered by the canary as well, before the first user meets it.",
                {
                    "require": GATE_SCHEMA,
                    "sample": {"type": "integer", "minimum": 1},
                    "min_pairs": {"type": "integer", "minimum": 1},
                    "max_usd": {"type": "number", "minimum": 0},
                    "margin": {
                        "type": "number",
                        "minimum": 0,
                        "exclusiveMaximum": 1,
                        "description": "How much more often checks may fail. Default: 0.03, three points.",
                    },
                },
            )
        ),
        "unit": {
            "type": "string",
            "minLength": 1,
            "description": "Whom an assignment sticks to: call, session, user, or a key of the metadata.",
        },
        "steps": {"type": "array", "items": _STEP},
        "approval": _or_null(
            _mapping(
                "Who may approve a step that waits for a person; null for anybody.",
                {
                    "approvers": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "pattern": "^[^@\\s<>]*@[^@\\s<>]+$"},
                        "description": "Addresses as git knows them; @example.org is everybody there.",
                    },
                    "own_change": {
                        "type": "string",
                        "enum": ["allow", "refuse"],
                        "description": "Whether who wrote the change may approve it. Default: allow.",
                    },
                },
            )
        ),
        "promote": _mapping(
            "What must hold at the last step.",
            {
                "require": {
                    "type": "string",
                    "enum": ["all_guards", "shadow_and_no_harm"],
                    "description": "all_guards: each is shown not worse. shadow_and_no_harm: so are all but "
                    "the checks, which the shadow phase has shown; they have to show no harm in min_calls.",
                },
                "min_calls": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "Calls of both arms in the last step, at least.",
                },
                "goals": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Metrics that must be better.",
                },
            },
        ),
        "quality": {
            "type": "string",
            "enum": ["required", "optional"],
            "description": "Whether a metric of checks, outcomes or judges has to guard a canary. Default: "
            "required on production channels (production, prod-eu), optional elsewhere and in `quick`.",
        },
        "slices": {
            "type": ["array", "null"],
            "items": {"type": "string", "minLength": 1, "maxLength": 200},
            "maxItems": 20,
            "description": "Tags of calls on which checks are watched by themselves, as signals. Default: "
            "the ten most frequent ones of stable's logged calls when the canary starts; [] for none.",
        },
        "on_inconclusive": {
            "type": "string",
            "enum": ["hold", "rollback", "promote"],
            "description": "What happens at the deadline.",
        },
        "deadline": DURATION_SCHEMA | {"type": ["number", "string", "null"], "description": "null for none."},
        "alpha": _mapping(
            "The chance of being wrong that is accepted, over the whole rollout.",
            {"rollback": _ALPHA, "promote": _ALPHA, "srm": _ALPHA},
        ),
        "observe": _mapping(
            "When a call counts as dead, and until when people's outcomes count.",
            {"call_timeout": DURATION_SCHEMA, "feedback_window": DURATION_SCHEMA},
        ),
        "metrics": {"type": "array", "items": _METRIC},
    },
)
