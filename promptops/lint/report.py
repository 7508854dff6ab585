"""What lint found: findings, and how far the cases of each prompt reach."""

from collections.abc import Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.lint.rules import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """``path`` is from the top of the repository; ``prompt`` is "" for what belongs to a file alone."""

    rule: str
    severity: Severity
    message: str
    hint: str
    path: str
    line: int
    column: int
    prompt: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class PromptCoverage:
    """Of a prompt that has branches."""

    prompt: str
    cases: int
    branches: int
    reached: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class LintReport:
    prompts: Sequence[str]
    findings: Sequence[LintFinding]
    coverage: Sequence[PromptCoverage]

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "prompts": list(self.prompts),
            "findings": [finding.as_json() for finding in self.findings],
            "coverage": [coverage.as_json() for coverage in self.coverage],
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
        }
