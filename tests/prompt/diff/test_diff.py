import random
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest

from promptops.prompt import Prompt
from promptops.prompt.diff import (
    DiffGap,
    DiffLine,
    compare_prompts,
    count_words,
    hunk_lines,
    static_prefix,
    to_plain_text,
    word_diff,
)
from promptops.prompt.diff.inputs import compare_inputs, worst_effect
from promptops.prompt.diff.values import Difference, differences, format_value, is_same_json
from support.prompt_files import FILES, PNG, TRIAGE, load, load_text, minimal


def marked(old: str, new: str) -> str:
    marks = {"=": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}
    return "".join(marks[tag].format(text) for tag, text in word_diff(old, new))


class TestWords:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("same\n", "same\n", "same\n"),
            ("", "", ""),
            ("", "new text", "{+new text+}"),
            ("old", "", "[-old-]"),
            ("You route support tickets.", "You route all tickets.", "You route [-support-]{+all+} tickets."),
            ("one queue", "exactly one queue", "{+exactly +}one queue"),
            ("a very short answer", "a short answer", "a [-very -]short answer"),
            ("Greet {{ name }}.", "Greet {{ user.name }}.", "Greet [-{{ name }}-]{+{{ user.name }}+}."),
            ("don't stop", "do stop", "[-don't-]{+do+} stop"),
            ("use 0.7 now", "use 0.75 now", "use [-0.7-]{+0.75+} now"),
            ("caf\u0065\u0301 one", "cafe one", "[-cafe\u0301-]{+cafe+} one"),
            ("请用中文回答", "请用英文回答", "请用[-中-]{+英+}文回答"),
            ("a b c d\ne f", "a b c\nd e f", "a b c[- -]{+\n+}d[-\n-]{+ +}e f"),
            ("one two ", "one two", "one two[- -]"),
            ("  one two", "one two", "[-  -]one two"),
            # the comma between two rewritten clauses is not an anchor
            ("start alpha, beta end", "start gamma, delta end", "start [-alpha, beta-]{+gamma, delta+} end"),
            # nothing in common: one after the other
            (
                "Be brief and kind.",
                "Reply with JSON only, always",
                "[-Be brief and kind.-]{+Reply with JSON only, always+}",
            ),
            ("a\nb\nc\n", "a\nc\n", "a\n[-b\n-]c\n"),
        ],
    )
    def test_prose(self, old: str, new: str, expected: str) -> None:
        assert marked(old, new) == expected

    def test_a_real_edit_of_prose_reads_well(self) -> None:
        old = (
            "You are a careful assistant. Answer in at most three sentences.\n"
            "\n"
            "Rules:\n- Never invent facts.\n- Cite the source of each claim.\n"
        )
        new = (
            "You are a careful research assistant. Answer in at most two short sentences.\n"
            "\n"
            "Rules:\n- Never invent facts or numbers.\n- Ask when the question is unclear.\n"
            "- Cite the source of each claim.\n"
        )
        assert marked(old, new) == (
            "You are a careful {+research +}assistant. Answer in at most [-three-]{+two short+} sentences.\n"
            "\n"
            "Rules:\n- Never invent facts{+ or numbers+}.\n{+- Ask when the question is unclear.\n+}"
            "- Cite the source of each claim.\n"
        )

    def test_both_texts_can_be_rebuilt(self) -> None:
        rng = random.Random(7)
        words = [
            "a",
            "the",
            "queue",
            "{{ x }}",
            "\n",
            "\n\n",
            "  ",
            ".",
            "respond",
            "\t",
            "中",
            "\r\n",
            "\u2028",
        ]
        for _ in range(400):
            old, new = ("".join(rng.choices(words, k=rng.randrange(40))) for _ in range(2))
            segments = word_diff(old, new)
            assert "".join(text for tag, text in segments if tag != "+") == old
            assert "".join(text for tag, text in segments if tag != "-") == new

    @pytest.mark.no_cover
    def test_hostile_sizes_stay_quick(self) -> None:
        for old, new in (("a " * 30_000, "b a " * 30_000), ("a\n" * 30_000, "b\na\n" * 15_000)):
            segments = word_diff(old, new)
            assert "".join(text for tag, text in segments if tag != "+") == old

    def test_long_texts_are_compared_between_words_that_stand_once(self) -> None:
        rows = [f"row {n} of a long list of the same words as in any other row." for n in range(300)]
        moved = [*rows[:40], "a new row", *rows[40:100], *rows[200:], *rows[100:200]]
        segments = word_diff("\n".join(rows), "\n".join(moved))
        assert "".join(text for tag, text in segments if tag != "+") == "\n".join(rows)
        assert "".join(text for tag, text in segments if tag != "-") == "\n".join(moved)
        assert count_words(segments) == (3 + 100 * 15, 100 * 15)
        reworded = "\n".join(rows).replace("long list", "short list")
        assert count_words(word_diff("\n".join(rows), reworded)) == (300, 300)

    def test_counts(self) -> None:
        assert count_words(word_diff("You route support tickets.", "You route all new tickets.")) == (2, 1)
        assert count_words(word_diff("a  b", "a b")) == (0, 0)


class TestShownLines:
    def lines(self, old: str, new: str) -> list[str]:
        marks = {"=": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}
        return [
            f"… {one.lines}"
            if isinstance(one, DiffGap)
            else "".join(marks[tag].format(text) for tag, text in one.segments)
            for one in hunk_lines(word_diff(old, new))
        ]

    def test_context_and_gaps(self) -> None:
        old = "".join(f"line {n}\n" for n in range(20))
        new = old.replace("line 9\n", "row 9\n")
        assert self.lines(old, new) == [
            "… 7", "line 7", "line 8", "[-line 9-]{+row 9+}", "line 10", "line 11", "… 8",
        ]  # fmt: skip

    def test_white_space_is_made_visible(self) -> None:
        assert self.lines("a b\nc", "a\nb c") == ["a[-·-]{+↵+}", "b[-↵-]{+·+}c"]
        assert self.lines("a\n\nb", "a\nb") == ["a", "[-↵-]", "b"]
        assert self.lines("a\tb", "a b") == ["a[-⇥-]{+·+}b"]
        assert self.lines("a\n", "a") == ["a[-↵-]"]

    def test_long_lines_are_cut_where_nothing_changed(self) -> None:
        words = " ".join(f"word{n}" for n in range(100))
        (line,) = self.lines(f"{words} old {words}", f"{words} new {words}")
        assert "[-old-]{+new+}" in line
        assert len(line) < 260
        assert line.startswith(" … ")
        assert line.endswith(" …")
        far = self.lines(f"{words}\nold", f"{words}\nnew")
        assert len(far[0]) < 160
        assert far[1] == "[-old-]{+new+}"

    def test_a_line_knows_whether_it_changed(self) -> None:
        lines = [one for one in hunk_lines(word_diff("a\nb\n", "a\nc\n")) if isinstance(one, DiffLine)]
        assert [line.changed for line in lines] == [False, True]


class TestValues:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ({"a": 1}, {"a": 1.0}, []),
            ({"a": 1}, {"a": True}, ["a: 1 -> true"]),
            ({"a": [1]}, {"a": [True]}, ["a: without 1 and with true"]),
            ({}, {"seed": 7}, ["seed: 7 added"]),
            ({"stop": ["x"]}, {}, ['stop: ["x"] removed']),
            ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 2}]}}, ["a.b[0].c: 1 -> 2"]),
            ({"e": ["a", "b"]}, {"e": ["b", "a"]}, ['e: ["a", "b"] -> ["b", "a"]']),
            ({"e": ["a", "b"]}, {"e": ["a", "c"]}, ["e: without b and with c"]),
            ({"e": [{"x": 1}]}, {"e": [{"x": 1}, {"y": 2}]}, ['e: [{"x": 1}] -> [{"x": 1}, {"y": 2}]']),
            ("a", "1", ['a -> "1"']),
            (None, "a b", ["null -> a b"]),
            ("x" * 100, "y", [f"{'x' * 59}… -> y"]),
        ],
    )
    def test_words(self, old: Any, new: Any, expected: list[str]) -> None:
        assert list(map(str, differences(old, new))) == expected

    def test_small_things(self) -> None:
        found = next(differences({"a": 1}, {}))
        assert repr(found.new) == "MISSING"
        assert not is_same_json(found.new, None)
        assert format_value("two\nlines") == '"two\\nlines"'
        assert str(Difference((), 1, 2)) == "1 -> 2"


def inputs_of(**inputs: Any) -> Prompt:
    return load_text(minimal(inputs=inputs))


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}


class TestInputs:
    @pytest.mark.parametrize(
        ("old", "new", "effect", "summary"),
        [
            ({"a": "string"}, {}, "breaking", "`a` removed"),
            ({}, {"a": "string"}, "breaking", "`a` added, required"),
            ({}, {"a": {"type": "string", "default": "x"}}, "compatible", "`a` added, x by default"),
            ({"a": {"type": "string", "default": "x"}}, {"a": "string"}, "breaking", "`a` is required now"),
            ({"a": "string"}, {"a": {"type": "string", "default": "x"}}, "compatible", "is optional now"),
            (
                {"a": {"type": "string", "default": "x"}},
                {"a": {"type": "string", "default": "y"}},
                "compatible",
                "default of `a`: x -> y",
            ),
            ({"a": "string"}, {"a": "messages"}, "breaking", "was a value, is a messages"),
            ({"a": "number"}, {"a": "integer"}, "breaking", "type: number -> integer"),
            ({"a": "integer"}, {"a": "number"}, "compatible", "type: integer -> number"),
            ({"a": "string"}, {"a": {"type": ["string", "null"]}}, "compatible", "type"),
            ({"a": {}}, {"a": "string"}, "breaking", "type"),
            ({"a": "string"}, {"a": {}}, "compatible", "type"),
            ({"a": {"enum": ["a", "b"]}}, {"a": {"enum": ["a"]}}, "breaking", "enum: without b"),
            ({"a": {"enum": ["a"]}}, {"a": {"enum": ["a", "b"]}}, "compatible", "enum: with b"),
            ({"a": {}}, {"a": {"enum": ["a"]}}, "breaking", "enum"),
            ({"a": {"enum": ["a"]}}, {"a": {}}, "compatible", "enum"),
            ({"a": {"maxLength": 9}}, {"a": {"maxLength": 8}}, "breaking", "maxLength: 9 -> 8"),
            ({"a": {"maxLength": 8}}, {"a": {"maxLength": 9}}, "compatible", "maxLength"),
            ({"a": {}}, {"a": {"maximum": 9}}, "breaking", "maximum: 9 added"),
            ({"a": {"maximum": 9}}, {"a": {}}, "compatible", "maximum"),
            ({"a": {"minLength": 1}}, {"a": {"minLength": 2}}, "breaking", "minLength"),
            ({"a": {"minLength": 2}}, {"a": {"minLength": 1}}, "compatible", "minLength"),
            ({"a": {"const": 1}}, {"a": {"const": 2}}, "breaking", "const"),
            ({"a": {"const": 1}}, {"a": {}}, "compatible", "const"),
            ({"a": {}}, {"a": {"pattern": "x"}}, "unclear", "pattern"),
            ({"a": {"pattern": "x"}}, {"a": {}}, "compatible", "pattern"),
            ({"a": OBJECT}, {"a": OBJECT | {"required": ["a"]}}, "breaking", "required"),
            ({"a": OBJECT | {"required": ["a"]}}, {"a": OBJECT}, "compatible", "required"),
            ({"a": OBJECT}, {"a": OBJECT | {"additionalProperties": False}}, "breaking", "additional"),
            ({"a": OBJECT | {"additionalProperties": False}}, {"a": OBJECT}, "compatible", "additional"),
            (
                {"a": OBJECT},
                {"a": OBJECT | {"additionalProperties": {"type": "string"}}},
                "unclear",
                "additional",
            ),
            ({"a": OBJECT}, {"a": {**OBJECT, "properties": {}}}, "unclear", "`a`.a no longer declared"),
            ({"a": {**OBJECT, "properties": {}}}, {"a": OBJECT}, "unclear", "`a`.a declared"),
            (
                {"a": {**OBJECT, "properties": {"a": {"maxLength": 9}}}},
                {"a": {**OBJECT, "properties": {"a": {"maxLength": 8}}}},
                "breaking",
                "`a`.a maxLength: 9 -> 8",
            ),
            (
                {"a": {"items": {"type": "string"}}},
                {"a": {"items": {"type": "integer"}}},
                "breaking",
                "`a`[] type",
            ),
            ({"a": {"items": True}}, {"a": {"items": {"type": "string"}}}, "unclear", "items"),
            (
                {"a": {"properties": {"b": True}}},
                {"a": {"properties": {"b": False}}},
                "breaking",
                "`a`.b: true -> false",
            ),
            (
                {"a": {"properties": {"b": False}}},
                {"a": {"properties": {"b": {"type": "string"}}}},
                "compatible",
                "`a`.b",
            ),
            (
                {"a": {"properties": {"b": True}}},
                {"a": {"properties": {"b": {"type": "string"}}}},
                "unclear",
                "`a`.b",
            ),
        ],
    )
    def test_effect_on_callers(
        self, old: Mapping[str, Any], new: Mapping[str, Any], effect: str, summary: str
    ) -> None:
        changes = compare_inputs(inputs_of(**old).inputs, inputs_of(**new).inputs)
        assert [change.effect for change in changes] == [effect]
        assert summary in changes[0].summary

    def test_a_boolean_schema_that_stays(self) -> None:
        both = inputs_of(a={"properties": {"b": True, "c": {"type": "string"}}}).inputs
        other = inputs_of(a={"properties": {"b": True, "c": {"type": "string", "title": "C"}}}).inputs
        assert compare_inputs(both, other) == []

    def test_the_worst_counts(self) -> None:
        old = inputs_of(a="string", b={"maxLength": 1}).inputs
        assert worst_effect(compare_inputs(old, inputs_of(b={"maxLength": 2}).inputs)) == "breaking"
        assert (
            worst_effect(compare_inputs(old, inputs_of(a="string", b={"pattern": "x"}).inputs)) == "unclear"
        )
        assert (
            worst_effect(compare_inputs(old, inputs_of(a="string", b={"maxLength": 2}).inputs))
            == "compatible"
        )


def told(old: Prompt, new: Prompt) -> dict[str, list[str]]:
    return {change.kind: [*change.lines, *map(str, change.texts)] for change in compare_prompts(old, new)}


def edited(*edits: tuple[str, str], files: Mapping[str, str | bytes] | None = None) -> dict[str, list[str]]:
    text = TRIAGE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return told(load(), load({**FILES, **(files or {}), "support/triage.yaml": text}))


class TestPrompts:
    @pytest.mark.parametrize(
        ("edit", "expected"),
        [
            (("2024-07-18", "2024-08-06"), {"model": [
                "openai/gpt-4o-mini-2024-07-18 -> openai/gpt-4o-mini-2024-08-06"]}),
            (("temperature: 0, max_tokens: 64", "temperature: 0.2"), {"parameters": [
                "temperature: 0 -> 0.2", "max_tokens: 64 removed"]}),
            (("[local/smollm2-135m-instruct]", "[]"), {"fallback": ["without local/smollm2-135m-instruct"]}),
            (("enum: [en, de], ", ""), {"inputs": [
                '`language`: enum: ["en", "de"] removed (compatible for callers)']}),
            (("You route", "You gladly route"), {"messages": ["messages[0] system: +1 word"]}),
            (("  - insert: chat\n", ""), {"messages": ["messages[1] insert chat removed"]}),
            (("role: user\n", "role: user\n    name: bob\n"), {"messages": [
                "messages[2] user: name: bob added"]}),
            (("role: system", "role: developer"), {"messages": ["messages[0]: role system -> developer"]}),
            (("messages:\n", "messages:\n  - {role: user, content: one two}\n"), {"messages": [
                "messages[0] user added: +2 words"]}),
            (("max_input_tokens: 2000", "max_input_tokens: 900"), {"max_input_tokens": ["2000 -> 900"]}),
            (("  - json_schema\n", ""), {"checks": ["`json_schema` removed"]}),
            (("contains: refund", "contains: money"), {"checks": [
                "`mentions_refund`: contains: refund -> money"]}),
            (("- json_schema\n", "- json_schema\n  - max_chars: 9\n    weight: 2\n"), {"checks": [
                "`max_chars` added"]}),
            (("cases: triage", "cases: other"), {"cases": ["triage.cases.jsonl -> other.cases.jsonl"]}),
            (("owner: support", "owner: sales"), {"metadata": ["owner: support -> sales"]}),
            (("Route a support ticket", "Route a ticket"), {"description": [
                "Route a support ticket to one queue. -> Route a ticket to one queue."]}),
            (("{type: string, maxLength: 4000}", "{type: string, maxLength: 4000, description: it}"),
                {"description": ["description of the input `ticket`"]}),
            (("repair: 1", "repair: 0"), {"output": ["repair: 1 -> 0"]}),
            (("   # pinned", ""), {}),
        ],
    )  # fmt: skip
    def test_each_kind_of_change_is_told(self, edit: tuple[str, str], expected: dict[str, list[str]]) -> None:
        assert edited(edit) == expected

    def test_partials_and_schemas(self) -> None:
        schema = FILES["schemas/triage.json"]
        assert isinstance(schema, str)
        assert edited(files={"partials/tone.j2": "Answer kindly in {{ language }}.\n"}) == {
            "partials": ["partials/tone.j2: +1 word"]
        }
        assert edited(files={"schemas/triage.json": schema.replace('"boolean"', '"string"')}) == {
            "output": ["schema.properties.asap.type: boolean -> string"]
        }
        turned = (
            '{"type": "object", "properties": {"asap": {"type": "boolean"}, "queue": {"type": "string"}}}'
        )
        assert edited(files={"schemas/triage.json": turned})["output"][0].startswith("the order of members")

    def test_white_space_alone_is_said(self) -> None:
        old, new = (load_text(minimal(text)) for text in ("a  b", "a b"))
        assert told(old, new) == {"messages": ["messages[0] user: only white space differs"]}

    def test_parts_and_images(self) -> None:
        def prompt(*parts: dict[str, str], image: bytes = PNG) -> Prompt:
            text = minimal(inputs={"photo": "image"}).replace('"hi"', str(list(parts)).replace("'", '"'))
            return load_text(text, {"a.png": image, "b.png": PNG + b"x"})

        words, photo, a, b = (
            {"text": "see this"},
            {"image": "photo"},
            {"image_file": "a.png"},
            {"image_file": "b.png"},
        )
        (line,) = told(prompt(words, a), prompt(words, b))["messages"]
        assert re.fullmatch(
            r"messages\[0\] user part 2: image a.png \(24 bytes, sha256:.{8}\) -> image b.png \(25 .*\)", line
        )
        assert "added" in told(prompt(words), prompt(words, photo))["messages"][0]
        assert told(prompt(words, photo), prompt(words))["messages"] == [
            "messages[0] user part 2: image input `photo` removed"
        ]
        assert told(prompt(photo, words), prompt(photo))["messages"] == [
            "messages[0] user part 2 removed: -2 words"
        ]
        assert told(prompt(photo), prompt(photo, words))["messages"] == [
            "messages[0] user part 2 added: +2 words"
        ]

    def test_a_message_with_an_image_that_comes_and_goes(self) -> None:
        with_image = load_text(
            minimal(inputs={"photo": "image"}, messages=[
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"image": "photo"}]},
            ])
        )  # fmt: skip
        without = load_text(minimal(inputs={"photo": "image"}))
        assert told(without, with_image)["messages"] == [
            "messages[1] assistant added",
            "messages[1] assistant: image input `photo` added",
        ]
        assert told(with_image, without)["messages"][0] == "messages[1] assistant removed"

    def test_tools(self) -> None:
        def tools(*names: str, **more: Any) -> Prompt:
            return load_text(
                minimal(tools=[{"type": "function", "function": {"name": n, **more}} for n in names])
            )

        assert told(tools("a"), tools("a", "b")) == {"tools": ["`b` added"]}
        assert told(tools("a", "b"), tools("b")) == {"tools": ["`a` removed"]}
        assert told(tools("a", "b"), tools("b", "a")) == {"tools": ["the order of the tools"]}
        assert told(tools("a"), tools("a", description="d")) == {
            "tools": ["`a`: function.description: d added"]
        }
        one = {"type": "object", "properties": {"x": {}, "y": {}}}
        two = {"type": "object", "properties": {"y": {}, "x": {}}}
        assert told(tools("a", parameters=one), tools("a", parameters=two)) == {
            "tools": ["the order of members"]
        }


class TestPrefix:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("static", "static"),
            ("lead {{ x }} tail", "lead "),
            ("{{ x }}", ""),
            ("{% set y = 1 %}lead {% if x %}a{% endif %}", "lead "),
            ("{% include 'p.txt' %} more", "from a file more"),
            ("{% include 'v.txt' %} more", "of "),
            ("{# note #}a", "a"),
        ],
    )
    def test_text_before_the_first_variable(self, content: str, expected: str) -> None:
        files = {"p.txt": "from a file", "v.txt": "of {{ x }}"}
        prompt = load_text(minimal(content, inputs={"x": "string"}), files)
        assert [text for _, text in static_prefix(prompt)] == ([expected] if expected else [])

    def test_it_goes_over_messages_and_images_and_ends_at_what_is_put_in(self) -> None:
        messages = [
            {"role": "system", "content": "one"},
            {"role": "user", "content": [{"text": "two"}, {"image_file": "a.png"}]},
            {"insert": "chat"},
            {"role": "user", "content": "three"},
        ]
        prompt = load_text(minimal(messages=messages, inputs={"chat": "messages"}), {"a.png": PNG})
        assert static_prefix(prompt) == [("system", "one"), ("user", "two")]
        photo = [{"role": "user", "content": [{"text": "two"}, {"image": "photo"}]}]
        assert static_prefix(load_text(minimal(messages=photo, inputs={"photo": "image"}))) == [
            ("user", "two")
        ]


class TestReadable:
    def test_one_fact_a_line_and_texts_as_they_are(self) -> None:
        assert to_plain_text(TRIAGE.encode()).decode().splitlines()[:12] == [
            "description: Route a support ticket to one queue.",
            "model: openai/gpt-4o-mini-2024-07-18",
            "parameters.temperature: 0",
            "parameters.max_tokens: 64",
            "parameters.seed: 7",
            "inputs.ticket.type: string",
            "inputs.ticket.maxLength: 4000",
            "inputs.language.type: string",
            'inputs.language.enum: ["en", "de"]',
            "inputs.language.default: en",
            "inputs.chat.type: messages",
            "inputs.chat.default: []",
        ]
        shown = to_plain_text(TRIAGE.encode()).decode()
        assert "\n── system |\nYou route support tickets.\n" in shown
        assert "\nmessages[1].insert: chat\n" in shown
        assert "\nchecks[1].contains: refund\n" in shown
        assert shown.endswith("── user |-\n{{ ticket }}\n")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"model: [", b"model: ["),
            (b"- a list", b"- a list"),
            (b"\xff\x00", b"\xff\x00"),
            (b"messages: none", b"messages: none\n"),
            (b"messages: [x]", b"messages[0]: x\n"),
            (b'description: "a\\nb"', b"description: |-\n    a\n    b\n"),
            (
                b"messages: [{role: user, name: bob, content: [{text: hi}, {image: p}, 3]}]",
                "── user\nname: bob\nhi\npart.image: p\npart: 3\n".encode(),
            ),
        ],
    )
    def test_whatever_the_file_is(self, text: bytes, expected: bytes) -> None:
        assert to_plain_text(text) == expected


@pytest.mark.no_cover
@pytest.mark.parametrize("opened", ["{{", "{%", "{#"])
def test_expressions_that_never_close_take_no_square_of_time(opened: str) -> None:
    text = opened * 15_000
    started = time.process_time()
    segments = word_diff(text, f"{text[:-1]}x")
    assert time.process_time() - started < 5
    assert "".join(segment.text for segment in segments if segment.tag != "+") == text
