"""The inside of a Handlebars tag: a name, arguments, and options as ``key=value``."""

from collections.abc import Sequence

from promptops.interop.dotprompt.nodes import Expression, HandlebarsFault, HelperCall, Literal, Path
from promptops.interop.dotprompt.tags import TagToken

_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
_MAX_PARTS = 20


def read_call(tokens: Sequence[TagToken], line: int) -> HelperCall:
    return _Reader(tokens, line).call()


def read_name(tokens: Sequence[TagToken]) -> str:
    """What a closing tag names, as it is written."""
    return "".join(token.text for token in tokens)


def read_partial_call(tokens: Sequence[TagToken], line: int) -> tuple[str, HelperCall]:
    """The name of a partial as it is written, as `shared/tone`, and what it is given."""
    if not tokens or tokens[0].kind not in ("id", "segment", "text", "number"):
        raise HandlebarsFault("the name of a partial must be written out", line)
    end = 1
    while end < len(tokens) and tokens[end].adjoins and tokens[end].text != "=":
        end += 1
    name = read_name(tokens[:end])
    return name, read_call([TagToken("text", name, adjoins=False), *tokens[end:]], line)


class _Reader:
    def __init__(self, tokens: Sequence[TagToken], line: int) -> None:
        self.tokens = tokens
        self.line = line
        self.at = 0

    def fault(self, message: str, hint: str = "") -> HandlebarsFault:
        return HandlebarsFault(message, self.line, hint)

    def call(self) -> HelperCall:
        if not self.tokens:
            raise self.fault("an empty tag")
        name = self.expression()
        arguments: list[Expression] = []
        options: dict[str, Expression] = {}
        while self.at < len(self.tokens):
            if self.names_option():
                key = self.tokens[self.at].text
                self.at += 2
                options[key] = self.expression()
            elif options:
                raise self.fault("an argument after an option `key=value`")
            elif self.tokens[self.at].text == "as" and self.follows("|"):
                raise self.fault("names in a block, `as |item|`, are not translated", "write {{this.…}}")
            else:
                arguments.append(self.expression())
        return HelperCall(name, tuple(arguments), options, self.line)

    def names_option(self) -> bool:
        return self.tokens[self.at].kind in ("id", "segment") and self.follows("=")

    def follows(self, sign: str) -> bool:
        return self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].text == sign

    def expression(self) -> Expression:
        if self.at >= len(self.tokens):
            raise self.fault("a value is missing in a tag")
        token = self.tokens[self.at]
        if token.kind == "text":
            self.at += 1
            return Literal(token.text)
        if token.kind == "number":
            self.at += 1
            return Literal(float(token.text) if "." in token.text else int(token.text))
        if token.kind == "word":
            self.at += 1
            return Literal(_WORDS[token.text])
        if token.text == "(":
            raise self.fault("a call inside of a tag, `( … )`, is not translated")
        return self.path()

    def path(self) -> Path:
        data = self.tokens[self.at].text == "@" and self.tokens[self.at].kind == "sign"
        self.at += data
        up = 0
        parts: list[str] = []
        while True:
            kind, text = self.segment()
            if kind == "sign" or (kind == "id" and text == "this"):
                if parts:
                    raise self.fault(f"`{text}` is not allowed in a path")
                up += text == ".."
            else:
                parts.append(text)
            if not self.separated():
                break
        if up + len(parts) > _MAX_PARTS:
            raise self.fault(f"a path of more than {_MAX_PARTS} members")
        return Path(tuple(parts), up, data)

    def segment(self) -> tuple[str, str]:
        token = self.tokens[self.at] if self.at < len(self.tokens) else TagToken("end", "", adjoins=False)
        if token.kind not in ("id", "segment", "number") and token.text not in (".", ".."):
            raise self.fault(
                f"`{token.text}` is where a name is expected" if token.text else "a path ends early"
            )
        self.at += 1
        return token.kind, token.text

    def separated(self) -> bool:
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        if token.kind == "sign" and token.text in (".", "/") and token.adjoins:
            self.at += 1
            return True
        return False
