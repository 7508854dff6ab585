"""The white space that Handlebars takes away.

It does so beside ``~``, and around blocks, comments and partials that stand on lines of their own.
"""

import re

from promptops.interop.dotprompt.nodes import Block, Content, Mustache, Node, PartialCall

_LINE_ENDS = re.compile(r"\r?\n\s*?\Z")
_LINE_ENDS_OR_START = re.compile(r"(\A|\r?\n)\s*?\Z")
_LINE_STARTS = re.compile(r"\s*?\r?\n")
_LINE_STARTS_OR_END = re.compile(r"\s*?(\r?\n|\Z)")
_REST_OF_LINE = re.compile(r"[ \t]*\r?\n?")


class _Candidate:
    """What a node asks of the texts beside it."""

    __slots__ = ("after", "alone", "before", "closes_alone", "opens_alone")

    def __init__(self, *, before: bool = False, after: bool = False, alone: bool = False) -> None:
        self.before = before
        self.after = after
        self.alone = alone
        self.opens_alone = self.closes_alone = False


def strip_whitespace(body: list[Node], *, root: bool = True) -> None:
    for at, node in enumerate(body):
        asked = _candidate(node)
        if asked is None:
            continue
        starts_line, ends_line = _ends_line(body, at, root=root), _starts_line(body, at, root=root)
        if asked.after:
            _strip_after(body, at + 1, all_of_it=True)
        if asked.before:
            _strip_before(body, at - 1, all_of_it=True)
        if asked.alone and starts_line and ends_line:
            _strip_after(body, at + 1)
            indent = _strip_before(body, at - 1)
            if isinstance(node, PartialCall):
                node.indent = indent
        if isinstance(node, Block):
            first, last = _outer_bodies(node)
            if asked.opens_alone and starts_line:
                _strip_after(first, 0)
                _strip_before(body, at - 1)
            if asked.closes_alone and ends_line:
                _strip_after(body, at + 1)
                _strip_before(last, len(last) - 1)


def _candidate(node: Node) -> _Candidate | None:
    if isinstance(node, Content):
        return None
    if isinstance(node, Mustache):
        return _Candidate(before=node.strip.before, after=node.strip.after)
    if isinstance(node, Block):
        return _block_candidate(node)
    return _Candidate(before=node.strip.before, after=node.strip.after, alone=True)


def _outer_bodies(node: Block) -> tuple[list[Node], list[Node]]:
    """The body after the opening tag, and the one before the closing tag."""
    bodies = [body for body in (node.program, node.inverse) if body is not None]
    return bodies[0], bodies[-1]


def _block_candidate(node: Block) -> _Candidate:
    for body in (node.program, node.inverse):
        if body is not None:
            strip_whitespace(body, root=False)
    program = _outer_bodies(node)[0]
    inverse = _first_inverse(node)
    asked = _Candidate(before=node.opening.before, after=node.closing.after)
    asked.opens_alone = _starts_line(program, -1, root=False)
    closing = program if inverse is None else inverse
    asked.closes_alone = _ends_line(closing, len(closing), root=False)
    if node.opening.after:
        _strip_after(program, 0, all_of_it=True)
    if inverse is not None:
        _strip_beside_else(node, program, inverse)
    elif node.closing.before:
        _strip_before(program, len(program) - 1, all_of_it=True)
    return asked


def _first_inverse(node: Block) -> list[Node] | None:
    """What stands after the first {{else}}, that of an {{else if}} too."""
    if node.program is None or node.inverse is None:
        return None
    first = node.inverse[0] if node.chained else None
    return first.program if isinstance(first, Block) else node.inverse


def _strip_beside_else(node: Block, program: list[Node], inverse: list[Node]) -> None:
    if node.middle.before:
        _strip_before(program, len(program) - 1, all_of_it=True)
    if node.middle.after:
        _strip_after(inverse, 0, all_of_it=True)
    if node.closing.before:
        _strip_before(inverse, len(inverse) - 1, all_of_it=True)
    if _ends_line(program, len(program), root=False) and _starts_line(inverse, -1, root=False):
        _strip_before(program, len(program) - 1)
        _strip_after(inverse, 0)


def _ends_line(body: list[Node], at: int, *, root: bool) -> bool:
    """Whether nothing but blanks stands before a node on its line."""
    if at < 1:
        return root
    before = body[at - 1]
    if not isinstance(before, Content):
        return False
    inner = at > 1 or not root
    return bool((_LINE_ENDS if inner else _LINE_ENDS_OR_START).search(before.original))


def _starts_line(body: list[Node], at: int, *, root: bool) -> bool:
    """Whether nothing but blanks stands after a node on its line."""
    if at + 1 >= len(body):
        return root
    after = body[at + 1]
    if not isinstance(after, Content):
        return False
    inner = at + 2 < len(body) or not root
    return bool((_LINE_STARTS if inner else _LINE_STARTS_OR_END).match(after.original))


def _strip_after(body: list[Node], at: int, *, all_of_it: bool = False) -> None:
    node = body[at] if at < len(body) else None
    if not isinstance(node, Content) or (node.stripped_before and not all_of_it):
        return
    value = node.value.lstrip() if all_of_it else _REST_OF_LINE.sub("", node.value, count=1)
    node.stripped_before = value != node.value
    node.value = value


def _strip_before(body: list[Node], at: int, *, all_of_it: bool = False) -> str:
    """Give what was taken away."""
    node = body[at] if 0 <= at < len(body) else None
    if not isinstance(node, Content) or (node.stripped_after and not all_of_it):
        return ""
    value = node.value.rstrip() if all_of_it else node.value.rstrip(" \t")
    taken = node.value[len(value) :]
    node.stripped_after = bool(taken)
    node.value = value
    return taken
