"""Texts that are put together without Jinja2 are those that Jinja2 writes."""

import keyword
import subprocess
import sys
from itertools import takewhile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import lexer
from jinja2.defaults import DEFAULT_NAMESPACE

from promptops.prompt.jinja_templates import (
    compile_jinja,
    jinja_includes,
    jinja_names,
    render_jinja,
    static_pieces,
)
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.templates import (
    JINJA_WORDS,
    CompiledTemplate,
    find_includes,
    free_names,
    plain_pieces,
)

VALUES = {"a": "A", "name": "<b> {{ a }} \r\n", "n": 7, "none": "x", "if": "y", "empty": ""}
PIECES = [
    "{", "}", "{{", "}}", "{%", "%}", "{#", "#}", "-", "+", " ", "\n", "\r\n", "\t", "a", "name", "none", "n",
    "{{ a }}", "{{name}}", "{{ missing }}", "{{ empty }}", "{{ n }}", "{{- a }}", "{{ a | upper }}", "ü",
]  # fmt: skip


def outcome(work: object) -> object:
    try:
        return work() if callable(work) else None
    except TemplateFault as fault:
        return (fault.message, fault.line, fault.hint)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.booleans())
@example("{{{ a }}", False)
@example("{{ a }}}", False)
@example("Hello {{ a }}\n\n", True)
@example("{{ missing }}", True)
def test_a_text_is_what_jinja_writes(text: str, missing_is_empty: bool) -> None:
    def by_jinja() -> str:
        return render_jinja(compile_jinja(text, missing_is_empty=missing_is_empty), VALUES)

    def by_us() -> str:
        return CompiledTemplate(text, missing_is_empty=missing_is_empty).render(VALUES)

    assert outcome(by_us) == outcome(by_jinja)
    assert outcome(lambda: free_names(text)) == outcome(lambda: jinja_names(text))
    assert outcome(lambda: find_includes(text)) == outcome(lambda: jinja_includes(text))
    plain = plain_pieces(text)
    if plain is not None:
        assert "".join(takewhile(lambda piece: piece is not None, static_pieces(text, {}))) == plain[0]


def words() -> set[str]:
    operators = {word for word in lexer.operators.values() if word.isidentifier()}
    return {
        *JINJA_WORDS,
        *keyword.kwlist,
        *keyword.softkwlist,
        *operators,
        *DEFAULT_NAMESPACE,
        "_",
        "environment",
    }


@pytest.mark.parametrize("word", sorted(words()))
def test_every_word_of_jinja_and_python_means_the_same(word: str) -> None:
    text, values = f"{{{{ {word} }}}}", {word: "value"}
    theirs = outcome(lambda: render_jinja(compile_jinja(text), values))
    assert outcome(lambda: CompiledTemplate(text).render(values)) == theirs
    assert outcome(lambda: free_names(text)) == outcome(lambda: jinja_names(text))


def test_a_long_text_has_the_bounds_of_any_other() -> None:
    long = "x" * 20_000_001
    with pytest.raises(TemplateFault, match="20,000,000 characters of output"):
        CompiledTemplate("{{ a }}").render({"a": long})


def test_a_plain_text_imports_no_jinja() -> None:
    program = (
        "import sys\nfrom promptops.prompt.templates import CompiledTemplate\n"
        "print(CompiledTemplate('Hello {{ a }}').render({'a': 'Ada'}), 'jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Hello Ada False\n"
