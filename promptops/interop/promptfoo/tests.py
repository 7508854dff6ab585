"""The tests of a configuration, wherever they stand: inline, in files and tables, in scenarios."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from promptops.config.text import decode_text
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.accounts import CellAccounts, SourceNode
from promptops.interop.promptfoo.expected import assertion_of
from promptops.interop.promptfoo.reading import NEVER_RUN, ConfigReading, is_code, is_pattern, is_reference
from promptops.interop.reader import plain_path

MAX_CASES = 10_000
_GENERATORS = ("http://", "https://", "huggingface://", "az://", "s3://", "sharepoint://")


@dataclass(frozen=True, slots=True, kw_only=True)
class FooTest:
    """A test as it is written. ``vars`` are by name; ``asserts`` are nodes of assertions."""

    node: SourceNode
    vars: Mapping[str, SourceNode] = field(default_factory=dict)
    asserts: tuple[SourceNode, ...] = ()
    options: SourceNode | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    prompts: tuple[str, ...] | None = None


class TestReader:
    __test__ = False  # pytest would take it for one of its own

    def __init__(self, reading: ConfigReading) -> None:
        self.reading = reading

    def all(self, config: SourceNode) -> list[FooTest]:
        tests = [test for node in self._elements(config.get("tests")) for test in self._entry(node)]
        return [*tests, *self._scenarios(config.get("scenarios"))]

    @staticmethod
    def _elements(node: SourceNode | None) -> list[SourceNode]:
        return node.elements() if node else []

    def default(self, config: SourceNode) -> FooTest | None:
        """The test whose members every other test has."""
        node = config.get("defaultTest")
        found = self.reading.lookup(node) if node else None
        return self.one(found) if found and isinstance(found.value, dict) else None

    def _entry(self, node: SourceNode) -> Iterator[FooTest]:
        if isinstance(node.value, str):
            yield from self._file(node)
        elif (
            isinstance(node.value, dict)
            and isinstance(node.value.get("path"), str)
            and "vars" not in node.value
        ):
            yield from self._file(node["path"])
        elif isinstance(node.value, dict):
            yield self.one(node)
        else:
            node.lose("a test is a mapping or the name of a file")

    def _file(self, node: SourceNode) -> Iterator[FooTest]:
        path = plain_path(node.value)
        path = f"{path}*" if path.endswith("/") else path
        if node.value.startswith(_GENERATORS):
            node.lose("tests that come from elsewhere; save them as a CSV or JSONL file and name that")
            return
        if is_code(path):
            node.lose(f"tests that a program makes: {NEVER_RUN}; save what it gives as JSONL and name that")
            return
        paths = self.reading.folder.find(path) if is_pattern(path) else [path]
        if not paths:
            node.lose(f"no file fits {path}")
        for each in paths:
            try:
                yield from self._tests_in(each)
            except Invalid as error:
                node.lose(error.message)
            else:
                node.keep()

    def _tests_in(self, path: str) -> Iterator[FooTest]:
        if path.endswith((".csv", ".tsv")):
            yield from self._rows(path)
            return
        if path.endswith(".jsonl"):
            table = self.reading.table(path, [value for _, value in self.reading.folder.json_lines(path)])
        elif path.endswith((".yaml", ".yml", ".json")):
            table = self.reading.load(path)
        else:
            raise Invalid(f"{path}: tests are read from .yaml, .json, .jsonl and .csv files")
        for node in table.elements():
            yield from self._entry(node)

    def _rows(self, path: str) -> Iterator[FooTest]:
        rows = [dict(row) for _, row in self.reading.folder.rows(path)]
        table = self.reading.table(path, rows)
        for index, row in enumerate(rows):
            yield self._row(table[index], row)

    def _row(self, node: SourceNode, row: Mapping[str, str]) -> FooTest:
        values = {name: node[name] for name in row if not name.startswith("__")}
        for value in values.values():
            value.keep()
        metric = row.get("__metric", "").strip()
        asserts = []
        for column in row:
            if column.startswith("__expected") and row[column].strip():
                made = assertion_of(row[column]) | ({"metric": metric} if metric else {})
                asserts.append(_made_node(made, node[column]))
            elif not row[column].strip() or column in ("__description", "__metric"):
                node[column].keep()
        tags: list[str] = []
        for column in row:
            if column.startswith("__metadata:") and row[column].strip():
                tags += _tags(column.removeprefix("__metadata:").removesuffix("[]"), row[column])
                node[column].keep()
        return FooTest(
            node=node,
            vars=values,
            asserts=tuple(asserts),
            description=row.get("__description", "").strip(),
            tags=tuple(tags),
        )

    def one(self, node: SourceNode) -> FooTest:
        """One test of a mapping; its keys that a case has are kept."""
        description = node.get("description")
        if description:
            description.keep()
        asserts = node.get("assert")
        return FooTest(
            node=node,
            vars=self._vars(node.get("vars")),
            asserts=tuple(asserts.elements()) if asserts else (),
            options=node.get("options"),
            description=str(description.value) if description else "",
            tags=self._metadata(node.get("metadata")),
            prompts=self._prompts(node.get("prompts")),
        )

    def _vars(self, node: SourceNode | None) -> dict[str, SourceNode]:
        if node is None:
            return {}
        if not node.value:
            node.keep()
        found: dict[str, SourceNode] = {}
        for each in node.elements():  # a list of files, or one mapping
            loaded = self.reading.lookup(each)
            if loaded is not None and isinstance(loaded.value, dict):
                found |= dict(loaded.members())
            elif loaded is not None:
                each.lose("variables are a mapping")
        return found

    @staticmethod
    def _metadata(node: SourceNode | None) -> tuple[str, ...]:
        """Metadata of a test as tags of a case, ``key:value``."""
        tags: list[str] = []
        for key, value in node.members() if node else ():
            values = value.value if isinstance(value.value, list) else [value.value]
            if all(isinstance(each, str | int | float | bool) for each in values):
                tags += map(str, values) if key == "tags" else [f"{key}:{each}" for each in values]
                value.keep()
        return tuple(tags)

    @staticmethod
    def _prompts(node: SourceNode | None) -> tuple[str, ...] | None:
        if node is None or not isinstance(node.value, list):
            return None
        node.keep()
        return tuple(map(str, node.value))

    def _scenarios(self, node: SourceNode | None) -> Iterator[FooTest]:
        """Each test with the variables of each ``config``."""
        for scenario in self._elements(node):
            found = self.reading.lookup(scenario)
            if found is None or not isinstance(found.value, dict):
                continue
            description = found.get("description")
            if description:
                description.keep()
            configs = [self.one(each) for each in self._elements(found.get("config"))] or [
                FooTest(node=found)
            ]
            tests = [test for each in self._elements(found.get("tests")) for test in self._entry(each)]
            for config, test in itertools.product(configs, tests or [FooTest(node=found)]):
                yield merged(config, test)


def merged(first: FooTest, then: FooTest) -> FooTest:
    """A test with what another gives it; its own members win."""
    return FooTest(
        node=then.node,
        vars={**first.vars, **then.vars},
        asserts=(*first.asserts, *then.asserts),
        options=then.options or first.options,
        description=" ".join(filter(None, (first.description, then.description))),
        tags=tuple(dict.fromkeys([*first.tags, *then.tags])),
        prompts=then.prompts or first.prompts,
    )


def _made_node(value: Any, place: SourceNode) -> SourceNode:
    """A value that was made of a cell: what is said of any of its parts is said of the cell."""
    return SourceNode(value, (), CellAccounts(place))


def _tags(key: str, cell: str) -> Iterable[str]:
    return [f"{key}:{part.strip()}" for part in cell.split(",") if part.strip()]


class VariableReader:
    """The values of variables: of files, of lists (a case for each), of other variables."""

    def __init__(self, reading: ConfigReading) -> None:
        self.reading = reading
        self.count = 0

    def expanded(self, test: FooTest) -> list[dict[str, Any]]:
        """The inputs of each case that a test makes. Raises Invalid for more than are read."""
        whole = _no_expansion(test)
        choices = {name: self._values(node, whole=whole) for name, node in test.vars.items()}
        known = {name: values for name, values in choices.items() if values is not None}
        cases = []
        for combination in itertools.product(*known.values()):
            self.count += 1
            if self.count > MAX_CASES:
                raise Invalid(
                    f"{test.node.where}: the lists of variables make more than {MAX_CASES:,} cases",
                    hint="write fewer values, or import a part of the tests",
                )
            cases.append(_resolved(dict(zip(known, combination, strict=True))))
        return cases

    def _values(self, node: SourceNode, *, whole: bool) -> list[Any] | None:
        """One value, or several; None for one that is not importable."""
        if isinstance(node.value, list) and not whole and not self._is_data(node):
            found = [self._value(each) for each in node.elements()]
            node.keep()
            return [value for values in found if values for value in values] or None
        return self._value(node)

    @staticmethod
    def _is_data(node: SourceNode) -> bool:
        """A conversation, or an object in a list, is a value and no choice."""
        return node.path[-1:] == ("_conversation",) or not all(
            isinstance(each, str | int | float | bool) for each in node.value
        )

    def _value(self, node: SourceNode) -> list[Any] | None:
        if not is_reference(node.value):
            node.keep()
            return ["" if node.value is None else _without_last_break(node.value)]
        path = plain_path(node.value)
        if is_code(path):
            node.lose(f"a value that a program makes: {NEVER_RUN}")
            return None
        paths = self.reading.folder.find(path) if is_pattern(path) else [path]
        if not paths:
            node.lose(f"no file fits {path}")
            return None
        try:
            values = [self._file_value(each) for each in paths]
        except Invalid as error:
            node.lose(error.message)
            return None
        node.keep()
        return values

    def _file_value(self, path: str) -> Any:
        """As promptfoo writes it into a prompt: YAML as JSON, texts without white space around."""
        if path.endswith((".yaml", ".yml")):
            node = self.reading.load(path)
            node.keep()
            return (
                node.value
                if isinstance(node.value, dict | list)
                else json.dumps(node.value, ensure_ascii=False)
            )
        if path.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".webp")):
            return self._image(path)
        shown = self.reading.folder.shown(path)
        return decode_text(self.reading.folder.text(path).encode(), shown).strip()

    def _image(self, path: str) -> str:
        import base64

        from promptops.prompt.closure import image_type

        data = self.reading.folder.read(path)
        kind = image_type(data)
        if kind is None:
            raise Invalid(f"{path} is not a PNG, JPEG, GIF or WebP image")
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _no_expansion(test: FooTest) -> bool:
    option = test.options.get("disableVarExpansion") if test.options else None
    if option:
        option.keep()
    return bool(option and option.value)


def _without_last_break(value: Any) -> Any:
    return value.removesuffix("\n") if isinstance(value, str) else value


def _resolved(values: dict[str, Any]) -> dict[str, Any]:
    """Variables put into the texts of others, as promptfoo does: values are never rendered here."""
    for _ in range(5):
        changed = False
        for name, value in values.items():
            found = re.search(r"\{\{\s*(\w+)\s*\}\}", value) if isinstance(value, str) else None
            other = values.get(found[1]) if found else None
            if found and isinstance(other, str | int | float) and found[1] != name:
                values[name] = value.replace(found[0], str(other), 1)
                changed = True
        if not changed or sum(len(str(value)) for value in values.values()) > 1_000_000:
            break
    return values
