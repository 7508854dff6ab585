"""Tests as cases of a golden set: variables as inputs, assertions as checks, metadata as tags."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from promptops.errors import Invalid
from promptops.interop.promptfoo.assertion import AssertContext
from promptops.interop.promptfoo.asserts import AssertReader
from promptops.interop.promptfoo.conditions import CheckEntry, json_path_of
from promptops.interop.promptfoo.judges import grader_models
from promptops.interop.promptfoo.nunjucks import UntranslatableTemplate, to_jinja
from promptops.interop.promptfoo.reading import NEVER_RUN, ConfigReading
from promptops.interop.promptfoo.tests import FooTest, VariableReader, merged
from promptops.interop.reader import parse_source_json
from promptops.interop.values import input_name, same_kind

_EVERY_CHECK = "a case passes when all of its checks do, and fails otherwise"
_REASONS = {  # of keys of a test
    "__threshold": _EVERY_CHECK,
    "assertScoringFunction": f"{_EVERY_CHECK}; {NEVER_RUN}",
    "provider": "a case runs with the model of its prompt, or with those of `eval --model`",
    "providerOutput": "an answer that is given beforehand is not a case; `runs finish` logs such answers",
    "providers": "a case runs with the model of its prompt, or with those of `eval --model`",
    "threshold": _EVERY_CHECK,
}
_OPTION_REASONS = {
    "disableDefaultAsserts": "checks of a prompt hold for all of its cases",
    "prefix": "a case cannot add a text before its prompt; put it into the prompt as an input",
    "runSerially": "how many calls run at once is an option of `eval`",
    "suffix": "a case cannot add a text after its prompt; put it into the prompt as an input",
}


class CaseMaker:
    """``checks`` are those of ``defaultTest``, which hold for every case and so belong to the prompt."""

    def __init__(self, reading: ConfigReading, asserts: AssertReader, context: AssertContext) -> None:
        self.reading = reading
        self.asserts = asserts
        self.checks: list[CheckEntry] = []
        self._context = context
        self._default: FooTest | None = None
        self._variables = VariableReader(reading)
        self._cases: list[tuple[FooTest, dict[str, Any]]] = []

    def take_default(self, default: FooTest | None) -> None:
        if default is None:
            return
        self._default = default
        self._account(default)
        self._context = self._context_of(default, self._context)
        for node in default.asserts:
            self.checks += self.asserts.entries(node, self._context)
        self.checks = with_unique_names(self.checks, ())

    def take(self, tests: Sequence[FooTest]) -> None:
        """Make the cases of all tests; what cannot be a case is accounted for."""
        names = [name for check in self.checks if isinstance(check, dict) and (name := check.get("name"))]
        for test in tests:
            self._account(test)
            context = self._context_of(test, self._context)
            checks = [one for node in test.asserts for one in self.asserts.entries(node, context)]
            checks = with_unique_names(checks, names)
            whole = merged(_plain(self._default), test) if self._default else test
            try:
                inputs = self._variables.expanded(whole)
            except Invalid as error:
                test.node.lose(error.message)
                continue
            for values in inputs:
                self._cases.append((whole, _case(whole, self._named(whole, values), checks)))
        same_kind([case["inputs"] for _, case in self._cases])

    def _named(self, test: FooTest, values: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs by names that inputs may have."""
        named = {}
        for name, value in values.items():
            given = input_name(name)
            if given != name and name in test.vars:
                test.vars[name].change(f"the input is named `{given}`")
            named[given] = value
        return named

    def cases_for(self, names: AbstractSet[str]) -> list[dict[str, Any]]:
        """The cases of a prompt, each once, with ids that are unique."""
        fitting = [
            dict(case)
            for test, case in self._cases
            if test.prompts is None or not names.isdisjoint(test.prompts)
        ]
        unique: dict[str, dict[str, Any]] = {}
        for case in fitting:
            unique.setdefault(json.dumps(case, sort_keys=True), case)
        if len(unique) < len(fitting):
            self.reading.steps["tests that occur more than once are one case"] = None
        return _with_unique_ids([*unique.values()])

    def _context_of(self, test: FooTest, above: AssertContext) -> AssertContext:
        """What the options of a test say, over what holds for all."""
        options = test.options
        if options is None:
            return above
        transform = options.get("transform") or options.get("postprocess")
        if transform:
            if json_path_of(str(transform.value)) is None:
                transform.lose(f"JavaScript that changes the answer before it is checked: {NEVER_RUN}")
            else:
                transform.keep()
        provider, rubric = options.get("provider"), options.get("rubricPrompt")
        model, embedding = grader_models(provider, self.reading) if provider else ("", "")
        factuality = options.get("factuality")
        if factuality:
            factuality.change("a category with a score above 0 passes; partial scores are none")
        scores = factuality.value if factuality else None
        for key, reason in _OPTION_REASONS.items():
            if given := options.get(key):
                given.lose(reason)
        return AssertContext(
            model=self.reading.target.model or model or above.model,
            transform=str(transform.value) if transform else above.transform,
            tools=above.tools,
            answers_by_tools=above.answers_by_tools,
            rubric=self._rubric(rubric) if rubric else above.rubric,
            embedding=embedding or above.embedding,
            factuality=scores if isinstance(scores, dict) else above.factuality,
        )

    def _rubric(self, node: Any) -> str:
        """A rubric prompt of the configuration's own, in Jinja2."""
        text = json.dumps(node.value) if isinstance(node.value, list) else self.reading.text(node)
        if text is None:
            return ""
        try:
            rubric = to_jinja(text).text
        except UntranslatableTemplate as problem:
            node.lose(str(problem))
            return ""
        node.keep()
        return rubric

    @staticmethod
    def _account(test: FooTest) -> None:
        for key, node in test.node.members():
            if key in _REASONS and node.value not in (None, "", []):
                node.lose(_REASONS[key])


def _plain(default: FooTest) -> FooTest:
    """Of the default test what its cases have: its checks belong to the prompt."""
    return FooTest(node=default.node, vars=default.vars, tags=default.tags, options=default.options)


def _case(test: FooTest, inputs: dict[str, Any], checks: list[CheckEntry]) -> dict[str, Any]:
    case: dict[str, Any] = {"id": " ".join(test.description.split())} if test.description else {}
    case["inputs"] = inputs
    if checks:
        case["checks"] = checks
    if test.tags:
        case["tags"] = list(test.tags)
    return case


def _with_unique_ids(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken: set[str] = set()
    for case in cases:
        number, name = 1, case.get("id")
        while name is not None and name in taken:
            number += 1
            name = f"{case['id']} {number}"
        if name is not None:
            case["id"] = name
            taken.add(name)
    return cases


def with_unique_names(checks: Iterable[CheckEntry], taken: Iterable[str]) -> list[CheckEntry]:
    """Checks whose given names are unique: the second ``tone`` is ``tone_2``."""
    seen, unique = set(taken), []
    for check in checks:
        name = check.get("name") if isinstance(check, dict) else None
        if name:
            number, one = 1, name
            while one in seen:
                number += 1
                one = f"{name}_{number}"
            seen.add(one)
            unique.append({**check, "name": one} if isinstance(check, dict) else check)
        else:
            unique.append(check)
    return unique


def parse_texts(names: Collection[str], inputs: Iterable[dict[str, Any]]) -> None:
    """Read texts as the JSON that they hold, for inputs that a template reads so."""
    for values in inputs:
        for name in names & values.keys() if isinstance(names, frozenset) else ():
            if isinstance(values[name], str):
                try:
                    values[name] = parse_source_json(values[name], name)
                except Invalid:
                    continue
