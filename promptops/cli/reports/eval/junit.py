"""An eval as JUnit XML: a suite for each side, a test case for each case."""

import re
from xml.etree import ElementTree as ET

from promptops.cli.reports.cases import first_failed_trial, trial_answer, trial_failures
from promptops.cli.reports.eval.view import eval_headline
from promptops.escapes import escape
from promptops.evaluation.result import CaseResult, EvalResult, TrialResult, VariantResult
from promptops.reports.texts import value_text

_ILLEGAL = re.compile(r"[\ufffe\uffff]")  # besides what ``escape`` escapes
_MAX_TEXT_LENGTH = 4000
_DATE_TIME = len("2026-01-31T12:00:00")  # the schema knows no time zone


def render_eval_junit(result: EvalResult) -> str:
    root = ET.Element("testsuites", {"name": _xml_text(eval_headline(result))})
    for side, cases in zip(result.sides, result.cases, strict=True):
        root.append(_suite(side, cases, result))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(side: VariantResult, cases: tuple[CaseResult, ...], result: EvalResult) -> ET.Element:
    tests = [_case(case, side) for case in cases]
    attributes = {
        "name": _xml_text(side.label),
        "tests": str(len(tests)),
        "failures": str(sum(test.find("failure") is not None for test in tests)),
        "errors": str(sum(test.find("error") is not None for test in tests)),
        "skipped": "0",
        "time": f"{sum(float(test.get('time', '0')) for test in tests):.3f}",
    }
    if result.started_at:
        attributes["timestamp"] = _xml_text(result.started_at[:_DATE_TIME])
    suite = ET.Element("testsuite", attributes)
    suite.append(_properties(side, result))
    suite.extend(tests)
    if len(tests) < result.cases_total:
        listed = f"{len(tests)} of {result.cases_total} cases are listed"
        ET.SubElement(suite, "system-out").text = listed
    return suite


def _properties(side: VariantResult, result: EvalResult) -> ET.Element:
    values = {
        "eval_id": result.eval_id,
        "prompt": side.prompt,
        "digest": side.digest,
        "model": side.model,
        "verdict": result.comparison.verdict if result.comparison else None,
        "pass_rate": side.overall.rate,
        "cases_total": result.cases_total,
        "cost_usd": side.cost_usd,
    }
    properties = ET.Element("properties")
    for name, value in values.items():
        if value is not None:
            ET.SubElement(properties, "property", {"name": name, "value": _xml_text(str(value))})
    return properties


def _case(case: CaseResult, side: VariantResult) -> ET.Element:
    seconds = sum(trial.latency_ms or 0 for trial in case.trials) / 1000
    test = ET.Element(
        "testcase",
        # readers split class names at dots, and names of versions have none that mean anything
        {"classname": _xml_text(side.label), "name": _xml_text(case.case_id), "time": f"{seconds:.3f}"},
    )
    if not case.passed:
        test.append(_problem(case))
    if case.flaky:
        passed = sum(trial.passed for trial in case.trials)
        ET.SubElement(test, "system-out").text = f"flaky: {passed} of {len(case.trials)} trials passed"
    return test


def _problem(case: CaseResult) -> ET.Element:
    """An error where no trial failed otherwise."""
    if not case.trials:
        return ET.Element("error", {"message": "not answered", "type": "missing"})
    failed = [trial for trial in case.trials if not trial.passed and not trial.error]
    trial = failed[0] if failed else first_failed_trial(case)
    reasons = trial_failures(trial) or ["failed"]
    kind = "failure" if failed else "error"
    types = {"failure": reasons[0].partition(":")[0], "error": trial.error or "error"}
    problem = ET.Element(kind, {"message": _xml_text(reasons[0]), "type": _xml_text(types[kind])})
    problem.text = _xml_text(_failure_text(case, trial, reasons))
    return problem


def _failure_text(case: CaseResult, trial: TrialResult, reasons: list[str]) -> str:
    parts = [*reasons, "", "inputs:", value_text(dict(case.inputs))]
    if case.expected is not None:
        parts += ["", "expected:", value_text(case.expected)]
    parts += ["", "answer:", trial_answer(trial), "", f"run {trial.run_id}"]
    return "\n".join(part[:_MAX_TEXT_LENGTH] for part in parts)


def _xml_text(text: str) -> str:
    return _ILLEGAL.sub(lambda match: f"\\u{ord(match[0]):04x}", escape(text))
