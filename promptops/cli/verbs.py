"""The verbs of the command line: their groups, what they are called elsewhere, where they have moved from.

A verb is a leaf, which is a function in ``commands/VERB.py``, or a group, which is a folder of leaves.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

VerbPath = tuple[str, ...]
"""The words of a verb: ``("run",)`` or ``("runs", "list")``."""


class Verb(NamedTuple):
    group: str
    summary: str
    parts: Mapping[str, str] = MappingProxyType({})  # of a group of verbs: name -> summary
    common: bool = False  # shown by --help; the others by help --all


GROUPS = ("Write", "Run", "Evaluate", "Release", "Maintain")
VERBS: dict[str, Verb] = {
    "init": Verb("Write", "Start a prompts folder in this repository", common=True),
    "new": Verb("Write", "Write a new prompt file", common=True),
    "list": Verb("Write", "List the prompts", common=True),
    "show": Verb("Write", "Show one version of a prompt"),
    "history": Verb("Write", "List the versions of a prompt and how they did", common=True),
    "lint": Verb("Write", "Find what is wrong with prompts before they are committed", common=True),
    "diff": Verb("Write", "Show what changed between two versions of a prompt", common=True),
    "import": Verb("Write", "Turn prompts and tests of another tool into files of this one", common=True),
    "export": Verb("Write", "Write prompts as files of another tool"),
    "render": Verb("Run", "Print the messages a version sends for given inputs"),
    "run": Verb("Run", "Run a version once and print the model's answer", common=True),
    "chat": Verb("Run", "Talk with a version, a message after the other"),
    "last": Verb("Run", "Print the answer of your own last run"),
    "batch": Verb("Run", "Run a version over a file of inputs", common=True),
    "serve": Verb("Run", "Serve released prompts to programs, in OpenAI's API"),
    "ui": Verb("Run", "Open pages on which people look at answers, releases and figures", common=True),
    "keys": Verb(
        "Run",
        "Look after the keys of the gateway",
        {
            "new": "Make a key for callers of the gateway",
            "list": "List the keys of the gateway",
            "revoke": "Revoke a key of the gateway",
        },
    ),
    "runs": Verb(
        "Run",
        "Look at logged runs",
        {
            "list": "List the latest runs",
            "show": "Show one run with the exact messages it sent",
            "search": "Search inputs and outputs",
            "replay": "Send a run's exact request again and compare the answers",
            "stats": "Sum up calls, errors, tokens, cost and latency",
            "report": "Report on usage, cost and quality over time, as one file",
            "export": "Write runs as JSONL or CSV, as data sets or evidence",
            "import": "Take in what other registries know of releases",
            "finish": "Log how a run ended that run --prepare began",
        },
        common=True,
    ),
    "eval": Verb("Evaluate", "Evaluate versions on a golden set, alone or against each other", common=True),
    "bisect": Verb("Evaluate", "Find the commit since which a prompt does worse on its golden set"),
    "cases": Verb(
        "Evaluate",
        "Keep golden sets",
        {
            "add": "Make a case of a logged run, or of each row of a file",
            "list": "List the cases of a version",
            "validate": "Find malformed, unfit, doubled and leaked cases",
            "stats": "Say what a golden set is made of",
        },
    ),
    "checks": Verb(
        "Evaluate",
        "Draft checks",
        {"suggest": "Draft checks and a judge from a prompt's own words"},
    ),
    "judge": Verb(
        "Evaluate",
        "Let a judge score answers, and measure how far it can be trusted",
        {
            "calibrate": "Compare a judge with people's labels and with itself",
            "score": "Let a judge score a sample of a channel's answers",
        },
    ),
    "review": Verb(
        "Evaluate",
        "Let people review answers, one at a time and blind",
        {
            "start": "Make a queue of answers to review",
            "status": "Say what was reviewed, what passed and how steady reviewers are",
            "codes": "Count the kinds of failures that reviewers found, by version",
            "cases": "Make cases of reviewed answers that failed",
            "check": "Draft a check for a kind of failures that reviewers found",
        },
    ),
    "monitor": Verb(
        "Evaluate",
        "Find out when the provider, the users or the quality has changed",
        {
            "check": "Say what of a channel has left its band since the last look",
            "notify": "Send news of alarms, releases, budgets and retirements",
            "inputs": "List the logged inputs that are farthest from the cases",
        },
    ),
    "jobs": Verb(
        "Evaluate",
        "Look after what a provider's batch service answers",
        {
            "list": "List jobs, how far they are and what they have cost",
            "collect": "Take up the answers of jobs, and go on with their commands",
            "cancel": "End a job, or give its answers up",
        },
    ),
    "feedback": Verb("Evaluate", "Log what people say of an answer, or do with it"),
    "shadow": Verb(
        "Evaluate",
        "Try a version on real inputs without serving its answers to users",
        {
            "run": "Answer real inputs with two versions until the verdict is clear",
            "migrate": "Try prompts pinned to one model with another",
            "noise": "Measure how much a version differs from itself",
            "status": "Say how far shadow runs are and what they say so far",
            "show": "Show one shadow run with its regressions and improvements",
            "list": "List shadow runs with their verdicts",
            "on": "Let a version answer a sample of a channel's calls too, unseen",
            "off": "Remove a channel's shadow",
            "drain": "Answer what waits for the shadows of channels",
        },
        common=True,
    ),
    "canary": Verb("Release", "Send a share of a channel's traffic to a version", common=True),
    "promote": Verb("Release", "Serve a version to everybody", common=True),
    "rollback": Verb("Release", "Serve again what was served before", common=True),
    "status": Verb("Release", "Show what is live, and how a canary is doing", common=True),
    "tick": Verb("Release", "Evaluate active canaries and advance, hold or roll back each"),
    "release": Verb(
        "Release",
        "Look after what is released",
        {
            "wait": "Wait until a canary is promoted or rolled back",
            "approve": "Approve a step that waits for a person",
            "pause": "Keep a canary at its step",
            "resume": "Let a canary go on",
            "abort": "End a canary; stable serves everybody again",
            "gate": "Make the shadow pairs that a plan wants before a canary starts",
            "forecast": "Estimate how many calls and days a canary would take",
            "log": "List what was released when, by whom and why",
            "show": "Show what was live at a moment",
            "verify": "Recompute all committed verdicts from the logged data",
            "sync": "Fetch remote releases and push local ones",
            "bundle": "Write what channels serve to one file, for places without git",
            "recover": "Restore a state branch that is gone or damaged",
            "init": "Make the branch that holds what is released",
        },
    ),
    "registry": Verb(
        "Maintain",
        "Look after the registry of runs",
        {
            "prune": "Delete old runs and free their space",
            "erase": "Erase what is held of a person, everywhere",
            "copy": "Copy the registry to a file or to a database",
            "recover": "Save what can be read of a damaged registry into a new one",
        },
    ),
    "hooks": Verb(
        "Maintain",
        "Check prompts before git commits them",
        {
            "install": "Install git hooks that lint prompts and say what a commit changes",
            "status": "Say which hooks are installed, and where",
            "uninstall": "Take the hooks out and put back what was there before",
            "run": "Do what a hook does",
        },
    ),
    "cache": Verb(
        "Maintain",
        "Look at the answers that batches and evals use again",
        {"stats": "Count answers that can be used again", "clear": "Let answers not be used again"},
    ),
    "doctor": Verb("Maintain", "Check git, registry, keys and models"),
    "schema": Verb("Maintain", "Print the JSON Schema of the prompt file or of promptops.yaml"),
    "completions": Verb("Maintain", "Print the completion script of a shell"),
}
BUILT_IN = {"help": "Explain a verb; --all lists every verb", "version": "Print the version"}
"""What the dispatcher does itself."""

MOVED_VERBS: dict[VerbPath, VerbPath] = {
    ("runs", "prune"): ("registry", "prune"),
    ("runs", "recover"): ("registry", "recover"),
}
"""Old spellings that work for one more version."""

MOVED_OPTIONS: dict[VerbPath, str] = {("shadow", "run"): "translate_shadow_run"}
"""Verbs whose old options work for one more version, each with what of ``old_options`` writes them as new."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "ab": ("eval", "shadow run", "canary"),
    "abtest": ("eval", "canary"),
    "activate": ("promote",),
    "add": ("new", "cases add"),
    "annotate": ("review start", "feedback", "ui"),
    "api": ("serve",),
    "ask": ("run",),
    "backtest": ("shadow run",),
    "bench": ("eval",),
    "benchmark": ("eval",),
    "blame": ("history",),
    "call": ("run",),
    "cancel": ("release abort",),
    "cat": ("show",),
    "check": ("lint",),
    "clean": ("registry prune", "cache clear"),
    "compare": ("diff", "eval"),
    "complete": ("run", "completions"),
    "config": ("schema", "doctor"),
    "copy": ("new",),
    "cost": ("runs stats",),
    "costs": ("runs stats",),
    "convert": ("import", "export"),
    "create": ("new", "cases add"),
    "dashboard": ("status", "runs stats"),
    "dataset": ("cases list",),
    "datasets": ("cases list",),
    "delete": ("registry prune", "cache clear"),
    "deploy": ("canary", "promote"),
    "describe": ("show", "history"),
    "diagnose": ("doctor",),
    "drift": ("monitor check",),
    "env": ("doctor",),
    "estimate": ("release forecast", "diff"),
    "evals": ("eval",),
    "evaluate": ("eval",),
    "exec": ("run",),
    "execute": ("run",),
    "experiment": ("eval", "shadow run", "canary"),
    "fetch": ("release sync",),
    "find": ("runs search", "list"),
    "fmt": ("lint",),
    "forget": ("registry erase",),
    "format": ("lint",),
    "gateway": ("serve",),
    "gc": ("registry prune",),
    "gdpr": ("registry erase",),
    "generate": ("run", "new"),
    "get": ("show",),
    "grade": ("judge score", "eval"),
    "grep": ("runs search",),
    "health": ("doctor",),
    "hook": ("hooks install",),
    "info": ("show", "doctor"),
    "inspect": ("show", "runs show"),
    "install": ("hooks install",),
    "invoke": ("run",),
    "label": ("review start", "feedback"),
    "log": ("history", "runs list", "release log"),
    "logs": ("runs list",),
    "ls": ("list",),
    "metrics": ("runs stats", "status"),
    "migrate": ("import", "shadow migrate"),
    "outdated": ("lint",),
    "package": ("release bundle",),
    "ping": ("doctor",),
    "play": ("run",),
    "pre-commit": ("hooks install",),
    "predict": ("run",),
    "preview": ("render",),
    "price": ("runs stats",),
    "prompts": ("list",),
    "proxy": ("serve",),
    "publish": ("promote", "release sync"),
    "pull": ("release sync",),
    "push": ("release sync",),
    "query": ("run", "runs search"),
    "rate": ("feedback",),
    "regress": ("eval",),
    "reject": ("release abort",),
    "remove": ("registry prune",),
    "rerun": ("runs replay",),
    "revert": ("rollback",),
    "revisions": ("history",),
    "rollout": ("canary", "status"),
    "save": ("new",),
    "server": ("serve",),
    "setup": ("init",),
    "ship": ("canary", "promote"),
    "simulate": ("release forecast",),
    "snapshot": ("release bundle",),
    "spend": ("runs stats",),
    "split": ("canary",),
    "start": ("canary",),
    "stop": ("release abort", "rollback"),
    "tag": ("promote",),
    "tags": ("history",),
    "tail": ("runs list",),
    "template": ("new",),
    "templates": ("list",),
    "test": ("eval",),
    "trace": ("runs show",),
    "traces": ("runs list",),
    "traffic": ("canary", "status"),
    "undo": ("rollback",),
    "uninstall": ("hooks uninstall",),
    "usage": ("runs stats",),
    "validate": ("lint", "cases validate"),
    "verify": ("release verify",),
    "versions": ("history",),
    "view": ("show", "ui"),
    "watch": ("status", "monitor check"),
    "web": ("ui", "serve"),
}
"""What a verb is called elsewhere."""

_FILES = "prompts are files: change prompts/NAME.yaml, then git commit"
_KEYS = "keys stand in the environment variable of the provider, such as OPENAI_API_KEY"
OTHER_WAYS: dict[str, str] = {
    "alias": "a channel is the name that moves: promptops promote NAME@REV --to CHANNEL",
    "auth": _KEYS,
    "backup": "prompts and releases are in git; the log is the file that promptops doctor names",
    "branch": "prompts are files: git branch, then promptops run NAME@BRANCH",
    "checkout": "no checkout is needed: promptops run NAME@REV",
    "clone": "prompts are in your repository: git clone",
    "commit": _FILES,
    "cp": _FILES,
    "edit": _FILES,
    "key": _KEYS,
    "login": _KEYS,
    "models": "models are named as litellm names them, such as openai/gpt-5.4-mini-2026-03-17",
    "mv": "prompts are files: git mv",
    "register": _FILES,
    "rename": "prompts are files: git mv",
    "restore": "prompts are files: git restore; promptops registry recover is for a damaged log",
    "rm": "prompts are files: git rm; promptops registry prune is for logged runs",
    "stash": "prompts are files: git stash",
    "upgrade": "pip install --upgrade, as promptops was installed",
}
"""What is done without a verb of ours."""


def leaf_verbs(names: Iterable[str] = VERBS) -> Iterator[VerbPath]:
    """Every verb that does something, group by group."""
    for name in names:
        parts = VERBS[name].parts
        yield from ((name, part) for part in parts) if parts else [(name,)]


def suggest_verbs(word: str, group: str = "") -> list[str]:
    """Verbs that somebody may have meant who wrote ``word``, or ``group word``."""
    synonyms = SYNONYMS.get(word, ())
    if group:
        parts = VERBS[group].parts
        within = [
            f"{group} {name.rpartition(' ')[2]}" for name in synonyms if name.rpartition(" ")[2] in parts
        ]
        near = within or [word] * (word in VERBS) or _close_matches(word, parts, f"{group} ")
    else:
        near = [*synonyms] or _same_sub_verbs({word}) or _close_matches(word, [*VERBS, *BUILT_IN])
    return near or [*synonyms] or _same_sub_verbs({word}) or _close_sub_verbs(word)


def _same_sub_verbs(words: Container[str]) -> list[str]:
    return [" ".join(path) for path in leaf_verbs() if len(path) > 1 and path[1] in words]


def _close_matches(word: str, names: Iterable[str], prefix: str = "") -> list[str]:
    import difflib

    return [f"{prefix}{name}" for name in difflib.get_close_matches(word, list(names), 1, cutoff=0.7)]


def _close_sub_verbs(word: str) -> list[str]:
    names = sorted({path[1] for path in leaf_verbs() if len(path) > 1})
    return _same_sub_verbs(_close_matches(word, names))
