"""YAML that is written is read as the same data, and looks as people write it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from promptops.config.yaml import parse_yaml
from promptops.config.yaml_style import write_yaml

MARKS = "\n\t :-#{}[]'\"|>&*!%@`yesno0123.e,?~é\u2028\x85\ufeff\r"
TEXTS = st.text(
    st.one_of(st.sampled_from(MARKS), st.characters(exclude_categories=("Cs", "Cc"))), max_size=40
) | st.text("ab ", min_size=90, max_size=200)
SCALARS = st.one_of(
    TEXTS,
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=3))
def test_what_is_written_is_read_as_the_same_data(data: dict[str, Any]) -> None:
    assert parse_yaml(write_yaml(data).encode(), "it").data == data


def test_it_looks_as_people_write_it() -> None:
    data = {
        "text": "two\nlines \n",
        "short": {"a": 1, "b": ["x", "08", "yes"]},
        "long": "word " * 30 + "end",
        "items": [{"role": "user", "content": "{{ x }}"}],
    }
    assert write_yaml(data, lambda path: path != ("items", 0)) == (
        "text: |\n  two\n  lines \n"
        "short: {a: 1, b: [x, \"08\", 'yes']}\n"
        "long: >-\n  " + ("word " * 20).strip() + "\n  " + "word " * 10 + "end\n"
        'items:\n  - role: user\n    content: "{{ x }}"\n'
    )
