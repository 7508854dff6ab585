"""Hostile templates: no step takes long, nothing is computed while compiling, and no address is printed."""

import time
import tracemalloc
from contextlib import suppress

import pytest

from promptops.errors import Invalid
from promptops.prompt.render import render_text
from promptops.prompt.templates import CompiledTemplate

BIG = "x" * 1_000_000
LARGE = {
    "big": BIG,
    "wide": "\U0001f600" * 1_000_000,
    "lines": "ab\n" * 300_000,
    "items": list(range(100_000)),
    "keys": {f"k{number}": number for number in range(50_000)},
}
HUGE = "{% set h = ('f' * 1000000) | int(0, 16) %}"
NESTED = "{% set n = namespace(s=SEED) %}{% for i in range(60) %}{% set n.s = TWICE %}{% endfor %}"
SHARED = NESTED.replace("SEED", "(1,)").replace("TWICE", "(n.s, n.s)")
LISTED = NESTED.replace("SEED", "[1]").replace("TWICE", "[n.s, n.s]")
SLOW_STEPS = [
    HUGE + "{{ h // 3 }}",
    HUGE + "{{ 7 % h }}",
    HUGE + "{{ h / 7 }}",
    HUGE + "{{ h - 1 }}",
    HUGE + "{{ h is divisibleby(7) }}",
    HUGE + "{{ 3 is divisibleby h }}",
    HUGE + "{{ [h] | sum }}",
    HUGE + "{{ -h // 3 }}",
    "{{ 0x" + "f" * 50_000 + " // 3 }}",
    "{{ (0).from_bytes([255] * 100000, 'big') // 3 }}",
    "{{ 5 | round(-1000000000) }}",
    "{{ 10 ** (10 ** 9) }}",
    "{{ 'a' % (10 ** 5000) }}",
    SHARED + "{{ n.s == (n.s, 1) }}",
    SHARED + "{{ n.s < n.s }}",
    SHARED + "{{ 1 in n.s }}{{ (n.s, 1) in [n.s] }}",
    SHARED + "{{ {n.s: 1} }}",
    SHARED + "{{ {}[n.s] }}",
    SHARED + "{{ {}.get(n.s) }}",
    SHARED + "{{ dict([(n.s, 1)]) }}",
    SHARED + "{{ n.s is eq n.s }}",
    SHARED + "{{ n.s is in [n.s] }}",
    SHARED + "{{ [n.s, n.s] | unique | list }}",
    SHARED + "{{ [{'a': n.s}] | groupby('a') }}",
    SHARED + "{{ [n.s].index((n.s, 1)) }}",
    SHARED + "{% for i in [1, 2] %}{{ loop.changed(n.s) }}{% endfor %}",
    SHARED + "{{ n.s ~ '' }}",
    SHARED + "{{ '%s' % (n.s,) }}",
    SHARED + "{{ '{0}'.format(n.s) }}",
    LISTED + "{{ n.s == n.s + [1] }}",
    LISTED + "{{ '%s' % n.s }}",
    LISTED + "{{ {'a': n.s}.values() }}",
    LISTED + "{{ n.s | string }}",
    LISTED + "{{ [n.s] | map('string') | join }}",
    "{{ range(100000) | map('list') | sum(start=[]) }}",
    "{{ ([[1]] * 100000) | sum(start=[]) | length }}",
    "{{ (big * 19) | title }}",
    "{{ big | wordwrap(1) }}",
    "{{ (big ~ big[:900000]) | sort(attribute='a') }}",
    "{{ (big ~ big[:900000]) | groupby('upper') }}",
    "{{ (big ~ big[:900000]) | map('upper') | unique | list }}",
    "{{ (big * 19) | list | length }}",
    "{{ (big * 19) | wordcount }}",
    "{{ (range(20000) | list) | pprint }}",
    "{% if ('a' * 19000000) | center(19999999) %}{% endif %}" * 200,
    "{{ 'a' | center(19999999) | length }}" * 1000,
    "{{ ('a' * 19999999) ~ ('b' * 19999999) }}",
    "{{ '%(a)s' * 10000 % {'a': big} }}",
    "{{ '%(a)99999d' * 10000 % {'a': 1} }}",
    "{{ ('{0:99999}' * 10000).format(1) }}",
    "{{ '{0:{1[a]}}'.format(1, {'a': 999999999}) }}",
    "{{ '{0:{w[0]}}'.format(1, w=[999999999]) }}",
    "{{ '{0:{w.a}}'.format(1, w=namespace(a=999999999)) }}",
    "{{ ('{0[0]}' * 10000).format([big]) }}",
    "{{ '%(a)r' * 10000 % {'a': [big]} }}",
    "{{ ('{a}' * 10000).format_map({'a': big}) }}",
    "{{ '%*d' * 10000 % ((99999, 1) * 10000) }}",
    "{{ '%(a)f' * 1000000 % {'a': 1e308} }}",
    "{{ '%(a)a' * 100000 % {'a': '\U0001f600' * 200} }}",
    "{% set a = [10 ** 3000] * 100000 %}{{ a + a + a + a }}",
    "{" * 99_999,
    "{{" * 400_000,
    "{%" * 400_000,
]


@pytest.mark.parametrize("template", SLOW_STEPS, ids=range(len(SLOW_STEPS)))
def test_no_single_step_is_slow(template: str) -> None:
    started = time.process_time()
    with suppress(Invalid):
        assert len(render_text(template, {"big": BIG}, where="p.yaml")) < 1_000_000
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    "value",
    [
        "'a' * 19000000",
        pytest.param("range(100000) | list", marks=pytest.mark.thorough),
        pytest.param("wide[1:]", marks=pytest.mark.thorough),
        "lines.split()",
    ],
    ids=range(4),
)
@pytest.mark.slow
def test_values_that_are_kept_are_bounded_together(value: str) -> None:
    template = (
        "{% set n = namespace(s=0) %}{% for i in range(9999) %}{% set n.s = [n.s, VALUE] %}{% endfor %}"
    )
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match=r"too large|seconds"):
            render_text(template.replace("VALUE", value), LARGE, where="p.yaml")
        assert tracemalloc.get_traced_memory()[1] < 300_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "value",
    [
        "big[1:]", "wide.lower()", "wide ~ i", "wide + 'x'", "big.replace('x', '\U0001f600')",
        "wide[:99999] | list",
        "items[1:]", "items[::-1]", "items + items", "items * 1", "(1, 2) * 50000",
        pytest.param("lines.splitlines()", marks=pytest.mark.slow),
        "wide.partition('x')",
        pytest.param("keys.copy()", marks=pytest.mark.slow),
        pytest.param("keys.items() | list", marks=pytest.mark.slow),
        pytest.param(f"[{'i,' * 20_000}]", marks=pytest.mark.slow),
    ],
    ids=range(16),
)  # fmt: skip
def test_whatever_makes_a_value_counts_it(value: str) -> None:
    keep_many(value, json_values=False)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["wide ~ i", "items + items", "keys.items() | list"], ids=range(3))
def test_it_is_counted_where_values_are_printed_as_json_too(value: str) -> None:
    keep_many(value, json_values=True)


def keep_many(value: str, *, json_values: bool) -> None:
    template = f"{{% set n = namespace(s=0) %}}{{% for i in range(99999) %}}{{% set n.s = [n.s, {value}] %}}"
    with pytest.raises(Invalid, match=r"too large|2 seconds"):
        render_text(template + "{% endfor %}", LARGE, where="p.yaml", json_values=json_values)


@pytest.mark.slow
def test_what_is_joined_is_counted_before() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match="too large"):
            render_text(f"{{{{ {'big ~ ' * 1000}'' }}}}", LARGE)
        for value in ("big", "items", "{'a': items}"):
            with pytest.raises(Invalid, match="`round` takes a number"):
                render_text(f"{{{{ {value} | round(4, 'ceil') }}}}", LARGE)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_nothing_is_computed_while_compiling() -> None:
    template = "{{ 'a' | center(19999999) | length }}{% if 'b' | center(19999999) == 'c' %}{% endif %}" * 50
    tracemalloc.start()
    try:
        CompiledTemplate(template)
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "template",
    [
        "{{ ['{..}'.format] | map('string') | join }}",
        "{{ ['a'] | map(attribute='upper') | join }}",
        "{{ ['a'] | map(attribute='upper') | map('string') | join }}",
        "{{ ['a'] | map(attribute='upper') | first | string }}",
        "{{ ['a'] | map(attribute='upper') | list }}",
        "{{ 'a'.upper ~ '' }}",
        "{{ '%s' % 'a'.upper }}",
        "{{ '%s' % ('a'.upper,) }}",
        "{{ '%s' | format('a'.upper) }}",
        "{{ '{}'.format('a'.upper) }}",
        "{{ '{0.upper}'.format('a') }}",
        "{{ '{a.upper!r:>9}'.format_map({'a': 'b'}) }}",
        "{{ ('<{}>' | safe).format('a'.upper) }}",
        "{{ range(3) | map('string') | string }}",
        "{{ 'a'.upper | pprint }}",
        "{{ {'a': 'b'.upper} | pprint }}",
        "{{ 'a'.upper | e }}",
        "{{ 'a'.upper | default('b') }}",
        "{{ namespace(a='b'.upper) }}",
        "{{ dict(a='b'.upper) | string }}",
        "{{ dict(a='b'.upper).values() }}",
        "{{ cycler('a') }}",
        "{{ joiner }}",
        "{{ self }}",
        "{% for i in [1] %}{{ loop }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m }}",
        "{% macro m() %}{% endmacro %}{{ [m] | join }}",
        "{{ {}['a'.upper] }}",
        "{{ ['a'.upper] | tojson }}",
        "{{ 'a'.upper | indent }}",
        "{{ 'a' | replace('a', 'b'.upper) }}",
        "{{ [1] | join('b'.upper) }}",
        "{{ [1] | batch(2, 'b'.upper) | list }}",
        "{{ 'a' | truncate(1, true, 'b'.upper) }}",
        "{{ {'a': 'b'.upper} | xmlattr }}",
        "{{ {'a': 'b'.upper}.items() | list }}",
        "{{ ([1] | reverse) }}",
        "{{ [1].__iter__ }}",
    ],
)
def test_what_has_no_text_but_its_address_is_never_printed(template: str) -> None:
    with pytest.raises(Invalid) as caught:
        render_text(template, {})
    assert " at 0x" not in caught.value.message
