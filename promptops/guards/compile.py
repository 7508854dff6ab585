"""Guards that are ready to look: their checks compiled, and sorted by what they look at."""

from collections.abc import Iterable
from pathlib import Path

from promptops.checks import CHECK_KINDS, CompiledCheck, compile_checks, validate_checks
from promptops.checks.json import output_schema_problem
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.guards.texts import CHAT_FIELDS, declared_fields
from promptops.prompt import Guard, Prompt


@dataclass(frozen=True, slots=True)
class CompiledGuard:
    guard: Guard
    check: CompiledCheck
    fields: frozenset[str] = CHAT_FIELDS  # names of fields that the prompt declares: they are no texts
    pictures: frozenset[str] = frozenset()  # its inputs that are pictures

    @property
    def needs_model(self) -> bool:
        return self.check.needs_model

    @property
    def finds_spans(self) -> bool:
        """Whether the check says where in a text what it must not find stands."""
        check, kind = self.guard.check, CHECK_KINDS[self.guard.check.kind]
        return kind.spans is not None and kind.forbids != check.negate

    @property
    def forbids(self) -> bool:
        """Whether it looks for what must not be there, so that no part of an answer may be left out."""
        check, kind = self.guard.check, CHECK_KINDS[self.guard.check.kind]
        return self.finds_spans or (kind.forbids and not check.negate) or self.calls_function

    @property
    def forbids_in_tools(self) -> bool:
        """Whether it looks at the tools of a caller: not where it names the inputs that it looks at."""
        return self.forbids and not self.guard.inputs

    @property
    def joins_what_is_left(self) -> bool:
        """Whether nothing takes the place of what it redacts."""
        return self.guard.do == "redact" and self.guard.replacement == ""

    @property
    def calls_function(self) -> bool:
        """Whether it is code of the project, of which nobody knows how long it takes."""
        return self.guard.check.kind == "python"

    @property
    def needs_whole_answer(self) -> bool:
        """Whether it can say nothing of a part of an answer, or has to undo what has been sent of it."""
        if self.guard.do == "flag":
            return False  # it is told of the answer once that has been sent
        unfinished = CHECK_KINDS[self.guard.check.kind].unfinished_from
        whole = self.guard.do in ("retry", "replace") or self.joins_what_is_left
        return whole or unfinished is None or not self.finds_spans


@dataclass(frozen=True, slots=True)
class CompiledGuards:
    """Those of a prompt. On each side the cheap ones come first, and else they stand as written."""

    inputs: tuple[CompiledGuard, ...] = ()
    graded_inputs: tuple[CompiledGuard, ...] = ()  # that ask a model
    outputs: tuple[CompiledGuard, ...] = ()  # those that ask a model last
    fields: frozenset[str] = CHAT_FIELDS

    @property
    def asks_model(self) -> bool:
        return any(each.needs_model for each in (*self.graded_inputs, *self.outputs))

    @property
    def changes_outputs(self) -> bool:
        return any(each.guard.changes for each in self.outputs)

    @property
    def needs_whole_answer(self) -> bool:
        return any(each.needs_whole_answer for each in self.outputs)


def compile_guards(prompt: Prompt, root: Path | None = None) -> CompiledGuards:
    """Look every guard's check up. Raises Invalid as ``compile_checks`` does, or where it cannot act so."""
    checks = compile_checks((guard.check for guard in prompt.guards), f"{prompt.path}: guards", root)
    schemas = [each.schema for each in prompt.inputs.values()]
    fields = declared_fields([*schemas, prompt.tools, prompt.output_schema])
    pictures = frozenset(name for name, each in prompt.inputs.items() if each.kind == "image")
    compiled = [
        CompiledGuard(guard, check, fields, pictures)
        for guard, check in zip(prompt.guards, checks, strict=True)
    ]
    for each in compiled:
        schema = prompt.output_schema if each.guard.on == "output" else None
        validate_checks([each.check], schema, None)
        if each.guard.do == "redact" and not each.finds_spans:
            raise Invalid(
                f"{prompt.path}: the guard {each.guard.name} cannot redact: "
                f"`{each.guard.check.kind}` does not say where in a text its findings are",
                hint=f"checks that redact: {', '.join(_redacting_forms())}; else `do: block`",
            )
        _check_replacement(prompt, each.guard)
    return CompiledGuards(
        inputs=_on("input", compiled, needs_model=False),
        graded_inputs=_on("input", compiled, needs_model=True),
        outputs=(*_on("output", compiled, needs_model=False), *_on("output", compiled, needs_model=True)),
        fields=fields,
    )


def _check_replacement(prompt: Prompt, guard: Guard) -> None:
    """What takes the place of an answer must be one that the prompt may give."""
    if "replace" not in (guard.do, guard.then) or prompt.output_schema is None:
        return
    if problem := output_schema_problem(guard.replacement or "", prompt.output_schema):
        raise Invalid(
            f"{prompt.path}: the guard {guard.name}: `with` breaks the output schema: {problem}",
            hint="give an answer of the schema, or `do: block`",
        )


def _on(side: str, guards: Iterable[CompiledGuard], *, needs_model: bool) -> tuple[CompiledGuard, ...]:
    return tuple(each for each in guards if each.guard.on == side and each.needs_model == needs_model)


def _redacting_forms() -> list[str]:
    kinds = {name: kind for name, kind in CHECK_KINDS.items() if kind.spans is not None}
    return [f"`{name}`" if kind.forbids else f"`{{not: {{{name}: …}}}}`" for name, kind in kinds.items()]
