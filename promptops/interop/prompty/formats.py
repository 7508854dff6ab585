"""The template languages of Prompty files, as Jinja2."""

import re
from collections.abc import Mapping

from promptops.interop.promptfoo.nunjucks import UntranslatableTemplate, to_jinja
from promptops.interop.prompty.mustache import mustache_to_jinja
from promptops.interop.prompty.template_parts import BodyFault, template_parts

_CONTAINERS = frozenset({"array", "list", "object"})
_CONDITION = re.compile(r"(?:el)?if\b(.*)", re.DOTALL)


def body_as_jinja(source: str, form: str, kinds: Mapping[str, str]) -> str:
    """``kinds``: of the declared inputs. Raises BodyFault for what is not translated."""
    if form == "mustache":
        return mustache_to_jinja(source, kinds)
    if form == "nunjucks":
        return _from_nunjucks(source, kinds)
    if form != "jinja2":
        raise BodyFault(
            1, f"the template language `{form}` is not known", "jinja2, mustache and nunjucks are"
        )
    return source


def _from_nunjucks(source: str, kinds: Mapping[str, str]) -> str:
    containers = {name for name, kind in kinds.items() if kind in _CONTAINERS}
    mappings = {name for name, kind in kinds.items() if kind == "object"}
    for part in template_parts(source):
        found = _CONDITION.match(part.code) if part.kind == "tag" else None
        if found and (names := containers.intersection(re.findall(r"\w+", found[1]))):
            line = source.count("\n", 0, part.start) + 1
            raise BodyFault(line, f"`{min(names)}` is true in Nunjucks though it is empty")
    try:
        return to_jinja(source, mappings, containers).text
    except UntranslatableTemplate as error:
        place, _, message = str(error).removeprefix("line ").partition(": ")
        raise BodyFault(int(place), message) from None
