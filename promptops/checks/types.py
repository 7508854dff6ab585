"""What a check looks at, what it answers, and how it asks for further model calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from promptops.dataclass import dataclass
from promptops.errors import ExitCode, PromptopsError
from promptops.escapes import shorten
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import json_text
from promptops.prompt.cases import expected_json

METRICS_INSTALL_HINT = "pip install 'git-promptops[metrics]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSubject:
    """One output, with what it was made from, what was expected of it and what it took."""

    output: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None  # None for nothing, EXPECTED_NULL for null
    schema: Mapping[str, Any] | None = None  # the prompt's output schema
    latency_ms: float | None = None
    cost_usd: float | None = None  # None where the price is unknown, never 0
    refused: bool = False  # the provider marked the output as a refusal
    truncated: bool = False  # it was cut off at the most tokens that it may have
    system: str = ""  # the text of the system messages, as they were sent
    nonce: str = ""  # the code of the tags around untrusted inputs
    tool_calls: Sequence[Mapping[str, Any]] | None = None  # in OpenAI's form; None where they are not known
    tools: Sequence[Mapping[str, Any]] = ()  # that could be called: the prompt's and its caller's

    @property
    def expected_value(self) -> Any:
        return expected_json(self.expected)


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """``passed`` is None where the value decides, held against the check's threshold."""

    passed: bool | None
    message: str = ""  # why not, in one line
    value: float | None = None
    asked: int = 0  # further calls that it took
    failed: int = 0  # those of them that said nothing


class CheckError(PromptopsError):
    """A check that could not say. The case is then an error, and never one that passed."""

    exit_code = ExitCode.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderCall:
    """One more call that a check needs.

    ``reference`` names the prompt to ask; None asks the version under test again.
    """

    check: str
    inputs: Mapping[str, Any]
    reference: str | None = None
    trial: int = 0  # votes are calls of their own: the same question is not answered from the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderReply:
    output: str
    error: str = ""  # why there is no valid answer


class GraderClient(Protocol):
    """Makes the calls that checks ask for, passed in by whoever may spend them."""

    def prompt(self, reference: str) -> Prompt:
        """The prompt of a reference, as it is in the repository."""
        ...

    async def ask(self, call: GraderCall) -> GraderReply: ...

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]: ...


Found = tuple[int, int, str]
"""Where something that was found begins and ends, and what it is: a kind of personal data, or empty."""

CheckFunction = Callable[[CheckSubject, Any], CheckVerdict]
GradedCheckFunction = Callable[[CheckSubject, Any, str, GraderClient], Awaitable[CheckVerdict]]
"""Subject, argument, the check's name, and who makes the calls."""


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A check that can be named in a prompt file: what it does and what argument it takes."""

    function: CheckFunction | None
    argument: Mapping[str, Any] | Callable[[], Mapping[str, Any]]  # a JSON Schema, or what makes it
    summary: str
    optional: bool = False  # whether the bare name, without an argument, says enough
    threshold: float | None = None  # the least value that passes, unless the check gives its own
    graded_function: GradedCheckFunction | None = None  # costs model calls of its own
    needs_model: Callable[[Any], bool] | None = None  # whether an argument does; None: always, if ``further``
    problem: Callable[[Any], str] | None = None  # what a JSON Schema cannot say against an argument
    required_modules: Callable[[Any], Sequence[str]] | None = None  # modules of the extra ``metrics``
    verbatim: bool = False  # whether ``{{`` in the argument means nothing
    typed: bool = False  # whether ``{{ expected }}`` stands for the value, and not for its text
    default: Callable[[CheckSubject], Any] | None = None  # what stands for an argument that is not given
    judge: Callable[[Any], Any] | None = None  # of an argument, what the check ``judge`` would be given
    spans: Callable[[str, Any], Sequence[Found]] | None = None  # where in a text stands what it looks for
    forbids: bool = False  # whether it passes where nothing is found, and not where something is
    unfinished_from: Callable[[str, Any], int] | None = None
    """From where on the end of a text may still become what ``spans`` finds, once more text has come; its
    length where nothing may. None: only a whole text can be looked at."""


def to_texts(wanted: Any) -> list[str]:
    """One text or several, as texts."""
    return [to_text(each) for each in (wanted if isinstance(wanted, list) else [wanted])]


def to_text(value: Any) -> str:
    """A text as it is; what is neither text nor a number as JSON."""
    return value if isinstance(value, str) else json_text(value)


def truncate_line(text: str, limit: int = 60) -> str:
    line = " ".join(text[: 4 * limit].split())
    if len(line) <= limit:  # not so for most long texts, of which this looks at the start alone
        line = " ".join(text.split())
    return shorten(line, limit)


def quote(text: str) -> str:
    return repr(truncate_line(text))
