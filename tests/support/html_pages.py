"""A page as a reader takes it in; one whose elements are not closed in order is refused."""

from html.parser import HTMLParser


class HtmlPage(HTMLParser):
    """Elements in order, and the text of each element of class ``output``."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.outputs: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "wbr"):
            self._open.append("output" if dict(attrs).get("class") == "output" else tag)
        if self._open and self._open[-1] == "output":
            self.outputs.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        last = self._open.pop()
        assert last in (tag, "output")

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
        if "output" in self._open:
            self.outputs[-1] += data
