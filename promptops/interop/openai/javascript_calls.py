"""Requests in JavaScript or TypeScript, read from the objects that are written out in it. Nothing is run."""

import json
import re
from collections.abc import Mapping

from promptops.interop.openai.javascript_tokens import Token, template_holes, tokenize
from promptops.interop.openai.literals import (
    CALL_VERBS,
    ID_KEYS,
    MAX_CALLS,
    MAX_DEPTH,
    MAX_SOURCE,
    MAX_VALUES,
    Call,
    Expression,
    Pieces,
    Value,
    changed,
    joined,
    prompt_of,
)

_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None, "undefined": None}
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_MAX_FILE = 10 * MAX_VALUES  # what objects that turn out to be no requests take too
_CASTS = ("as", "satisfies")


def javascript_calls(source: str) -> list[Call]:
    """Requests in the order of the file."""
    return _JavaScriptReader(source).calls()


class _JavaScriptReader:
    def __init__(self, source: str) -> None:
        self.source, self.tokens, self.closes, self.within = tokenize(source)
        self.constants = self.find_constants()
        self.reading: set[str] = set()
        self.left = MAX_VALUES
        self.left_of_file = _MAX_FILE

    def calls(self) -> list[Call]:
        found: list[Call] = []
        end = -1  # of the request that was read last
        for place, token in enumerate(self.tokens):
            if place <= end or len(found) == MAX_CALLS or self.left_of_file <= 0:
                continue
            api, start = self.api_call(place), place + 4
            if not api:
                start = self.object_with_prompt(place, token)
            if start < 0 or self.closes[start] < 0:
                continue
            granted = self.left = min(MAX_VALUES, self.left_of_file)
            body, _ = self.value(start, 0)
            self.left_of_file -= granted - self.left
            if isinstance(body, Mapping) and (api or prompt_of(body)):
                found.append(Call(self.tokens[start].line, body, api))
                end = self.closes[start]
        return found

    def api_call(self, place: int) -> str:
        """Which of OpenAI's interfaces is called here with an object: ``responses.create({``."""
        words = [token.text for token in self.tokens[place : place + 5]]
        if len(words) < 5 or words[1] != "." or words[2] not in CALL_VERBS or words[3:] != ["(", "{"]:
            return ""
        return {"responses": "responses", "completions": "chat"}.get(words[0], "")

    def object_with_prompt(self, place: int, token: Token) -> int:
        """Where the object starts that this key makes one with a reusable prompt; -1 for none."""
        key = self.key(token)
        start = self.within[place]
        if key not in ("prompt", *ID_KEYS) or start < 0 or self.tokens[start].text != "{":
            return -1
        if self.text_at(place + 1) != ":" and not (key == "prompt" and self.text_at(place + 1) in (",", "}")):
            return -1
        if self.text_at(place - 1) not in ("{", ","):
            return -1
        return start

    def text_at(self, place: int) -> str:
        return self.tokens[place].text if 0 <= place < len(self.tokens) else ""

    def key(self, token: Token) -> str:
        return _unquoted(token.text) if token.kind == "text" else token.text if token.kind == "word" else ""

    def find_constants(self) -> dict[str, int]:
        """Where the value of each `const NAME =` starts that is the only one of its name."""
        found: dict[str, list[int]] = {}
        for place, token in enumerate(self.tokens):
            if token.text in ("const", "let", "var") and self.text_at(place + 1) not in ("{", "["):
                value = place + 3 if token.text == "const" and self.text_at(place + 2) == "=" else -1
                found.setdefault(self.text_at(place + 1), []).append(value)
        return {name: places[0] for name, places in found.items() if len(places) == 1 and places[0] >= 0}

    def value(self, place: int, depth: int) -> tuple[Value, int]:
        """A value and the place behind it, which is a `,`, `;` or closing bracket."""
        end = self.expression_end(place)
        if place >= len(self.tokens):
            return Expression.of("", self.tokens[-1].line if self.tokens else 1), end
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            return self.expression(place, end), end
        parts: list[Value] = []
        at = place
        while at < end:
            part, at = self.operand(at, depth)
            parts.append(part)
            if at < end and self.text_at(at) in _CASTS:
                at = end
            if at < end and (self.text_at(at) != "+" or at + 1 == end):
                return self.expression(place, end), end
            at += 1
        if len(parts) == 1:
            return parts[0], end
        texts = any(isinstance(part, str | Pieces) for part in parts)
        usable = all(isinstance(part, str | Pieces | Expression) for part in parts)
        known = joined(parts, self.tokens[place].line) if texts and usable else None
        return known if known is not None else self.expression(place, end), end

    def expression_end(self, place: int) -> int:
        while place < len(self.tokens):
            text = self.tokens[place].text if self.tokens[place].kind == "mark" else ""
            if text in (",", ";", ")", "]", "}"):
                return place
            place = (
                self.closes[place] + 1 if text in ("(", "[", "{") and self.closes[place] >= 0 else place + 1
            )
        return place

    def expression(self, place: int, end: int) -> Expression:
        first = self.tokens[place]
        last = self.tokens[max(place, end - 1)]
        return Expression.of(
            self.source[first.start : min(last.end, first.start + 4 * MAX_SOURCE)], first.line
        )

    def operand(self, place: int, depth: int) -> tuple[Value, int]:
        """One part of a sum, and the place behind it."""
        token = self.tokens[place]
        behind = place + 1
        if token.kind in ("text", "template"):
            value = _unquoted(token.text) if token.kind == "text" else self.template(token)
            return self.trimmed(value, behind)
        if token.kind == "mark" and token.text in ("{", "[") and self.closes[place] >= 0:
            known = self.object(place, depth) if token.text == "{" else self.array(place, depth)
            return known, self.closes[place] + 1
        sign = -1 if token.text == "-" and behind < len(self.tokens) else 1
        number = self.tokens[behind] if sign < 0 else token
        if number.kind == "number" and _NUMBER.fullmatch(number.text.replace("_", "")):
            return sign * json.loads(number.text.replace("_", "")), behind + (sign < 0)
        return self.name(place, depth)

    def trimmed(self, value: Value, place: int) -> tuple[Value, int]:
        if [token.text for token in self.tokens[place : place + 4]] == [".", "trim", "(", ")"]:
            return (changed(value, str.strip) if isinstance(value, str | Pieces) else value), place + 4
        return value, place

    def name(self, place: int, depth: int) -> tuple[Value, int]:
        """A constant of the file, or an expression as far as the next `+`."""
        token = self.tokens[place]
        end = place
        while end < len(self.tokens) and self.text_at(end) not in ("+", ",", ";", ")", "]", "}", *_CASTS):
            end = self.closes[end] + 1 if self.closes[end] > end else end + 1
        end = max(end, place + 1)
        if token.kind == "word" and end == place + 1:
            if token.text in _WORDS:
                return _WORDS[token.text], end
            if token.text in self.constants and token.text not in self.reading:
                self.reading.add(token.text)
                value, _ = self.value(self.constants[token.text], depth + 1)
                self.reading.remove(token.text)
                return value if not isinstance(value, Expression) else self.expression(place, end), end
        return self.expression(place, end), end

    def object(self, place: int, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        at, end = place + 1, self.closes[place]
        while at < end:
            token = self.tokens[at]
            if token.text == ",":
                at += 1
            elif token.text == "...":
                value, behind = self.value(at + 1, depth + 1)
                known = isinstance(value, Mapping)
                members |= value if known else {f"...{self.expression(at + 1, behind).source}": value}
                at = max(behind, at + 1)
            elif self.text_at(at + 1) == ":":
                members[self.key(token) or token.text], at = self.value(at + 2, depth + 1)
            elif token.kind == "word" and self.text_at(at + 1) in (",", "}"):
                members[token.text], at = self.name(at, depth + 1)
            else:  # a method, a computed key
                behind = max(self.expression_end(at), at + 1)
                members[self.expression(at, behind).source] = self.expression(at, behind)
                at = behind
        return members

    def array(self, place: int, depth: int) -> list[Value]:
        items: list[Value] = []
        at, end = place + 1, self.closes[place]
        while at < end:
            if self.text_at(at) == ",":
                at += 1
                continue
            value, behind = self.value(at, depth + 1)
            items.append(value)
            at = max(behind, at + 1)
        return items

    def template(self, token: Token) -> Value:
        holes, end = template_holes(token.text, 0)
        parts: list[Value] = []
        at = 1
        for start, close in holes:
            parts.append(_unescaped(token.text[at:start]))
            line = token.line + token.text.count("\n", 0, start)
            parts.append(Expression.of(token.text[start + 2 : close].strip(), line))
            at = close + 1
        parts.append(_unescaped(token.text[at : end - 1]))
        return joined([part for part in parts if part != ""] or [""], token.line)


def _unquoted(text: str) -> str:
    return _unescaped(text[1:-1])


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_letter, text) if "\\" in text else text


def _letter(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        return _LETTERS.get(found[4], found[4])
    number = int(code, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
