"""How many columns of a terminal a text takes: East Asian characters and emoji take two, marks none."""

_JOINER = "\u200d"
_NO_WIDTH = ("Mn", "Me", "Cf")


def display_width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(width for _, width in _character_widths(text))


def shorten_to_width(text: str, limit: int) -> str:
    """At most ``limit`` columns, the last an ellipsis where there were more."""
    if display_width(text) <= limit:
        return text
    kept, room = "", max(0, limit - 1)
    for character, width in _character_widths(text):
        if width > room:
            break
        kept, room = kept + character, room - width
    return kept + "…"


def split_at_width(text: str, limit: int) -> tuple[str, str]:
    """What fits into so many columns, one character at least, and the rest. Nothing is cut from its marks."""
    size = end = 0
    for _, width in _character_widths(text):
        if end and size + width > limit:
            break
        size, end = size + width, end + 1
    return text[:end], text[end:]


def pad_left(text: str, width: int) -> str:
    return " " * (width - display_width(text)) + text


def pad_right(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def _character_widths(text: str) -> list[tuple[str, int]]:
    """What a joiner ties to the character before it takes no room of its own."""
    import unicodedata  # which most commands need not load

    widths, before = [], ""
    for character in text:
        hidden = before == _JOINER or unicodedata.category(character) in _NO_WIDTH
        wide = unicodedata.east_asian_width(character) in "WF"
        widths.append((character, 0 if hidden else 2 if wide else 1))
        before = character
    return widths
