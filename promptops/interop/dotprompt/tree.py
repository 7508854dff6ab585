"""Handlebars text to a tree, white space taken away as Handlebars does."""

from dataclasses import replace
from typing import Any

from promptops.interop.dotprompt.expressions import read_call, read_name, read_partial_call
from promptops.interop.dotprompt.nodes import (
    Block,
    Comment,
    Content,
    HandlebarsFault,
    HelperCall,
    Mustache,
    Node,
    PartialCall,
    Strip,
)
from promptops.interop.dotprompt.tags import Piece, TagReader
from promptops.interop.dotprompt.whitespace import strip_whitespace

MAX_DEPTH = 40
_REFUSED = {
    "#*": "a decorator, `{{#* … }}`, is not translated",
    "*": "a decorator, `{{* … }}`, is not translated",
    "#>": "a partial with a block, `{{#> … }}`, is not translated",
}


def parse_handlebars(source: str) -> list[Node]:
    """Give the tree. Raises HandlebarsFault, naming the line."""
    parser = _TreeBuilder(list(TagReader(source).pieces()))
    body = parser.body(0)
    if parser.at < len(parser.pieces):
        piece = parser.pieces[parser.at]
        what = "{{else}}" if piece.kind == "else" else f"{{{{{piece.kind}{read_name(piece.tokens)}}}}}"
        raise HandlebarsFault(f"`{what}` belongs to no block", piece.line)
    strip_whitespace(body)
    return body


class _TreeBuilder:
    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        self.at = 0

    def body(self, depth: int) -> list[Node]:
        """Nodes up to a tag that ends them, which is left."""
        nodes: list[Node] = []
        while self.at < len(self.pieces):
            piece = self.pieces[self.at]
            if piece.kind in ("/", "else") or (piece.kind == "^" and not piece.tokens):
                break
            self.at += 1
            nodes.append(self.node(piece, depth))
        return nodes

    def node(self, piece: Piece, depth: int) -> Node:
        if piece.kind == "text":
            return Content(piece.text, piece.line)
        if piece.kind == "comment":
            return Comment(piece.strip)
        if piece.kind in _REFUSED:
            raise HandlebarsFault(_REFUSED[piece.kind], piece.line)
        if piece.kind in ("#", "^"):
            _check_depth(depth + 1, piece.line)
            return self.block(piece, depth + 1)
        if piece.kind == ">":
            return PartialCall(*read_partial_call(piece.tokens, piece.line), piece.strip)
        return Mustache(read_call(piece.tokens, piece.line), piece.strip)

    def block(self, opening: Piece, depth: int) -> Block:
        call = read_call(opening.tokens, opening.line)
        first = self.body(depth)
        inverse, chained, middle = self.inverse(depth)
        closing = self.closing(call)
        if chained and inverse:
            inverse = [replace(inverse[0], closing=closing.strip)]
        if opening.kind == "#":
            return Block(call, first, inverse, chained, opening.strip, middle, closing.strip)
        return Block(call, inverse, first, False, opening.strip, middle, closing.strip)

    def closing(self, call: HelperCall) -> Piece:
        if self.at >= len(self.pieces):
            raise HandlebarsFault(f"the block `{call.name}` is not closed", call.line)
        piece = self.pieces[self.at]
        if piece.kind != "/":
            raise HandlebarsFault("a block has two {{else}}", piece.line)
        name = read_name(piece.tokens)
        if name != str(call.name):
            raise HandlebarsFault(f"`{call.name}` of line {call.line} is closed by `{name}`", piece.line)
        self.at += 1
        return piece

    def inverse(self, depth: int) -> tuple[list[Any] | None, bool, Strip]:
        """What follows {{else}}, if there is one."""
        piece = self.pieces[self.at] if self.at < len(self.pieces) else None
        if piece is None or piece.kind == "/":
            return None, False, Strip()
        self.at += 1
        if piece.tokens:
            return [self.chain(piece, depth + 1)], True, piece.strip
        return self.body(depth), False, piece.strip

    def chain(self, piece: Piece, depth: int) -> Block:
        """``{{else if …}}``: a block that ends where the one around it ends."""
        _check_depth(depth, piece.line)
        call = read_call(piece.tokens, piece.line)
        program = self.body(depth)
        inverse, chained, middle = self.inverse(depth)
        return Block(call, program, inverse, chained, piece.strip, middle, piece.strip)


def _check_depth(depth: int, line: int) -> None:
    if depth > MAX_DEPTH:
        raise HandlebarsFault(f"blocks are nested more than {MAX_DEPTH} deep", line)
