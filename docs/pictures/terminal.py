"""What a terminal shows, as SVG in light and dark."""

import os
import pty
import re
import selectors
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

THEMES = {
    "light": ("ffffff", "1f2328", "1f2328 b12020 116329 7d4e00 0550ae 6639ba 1b7c83 6e7781"),
    "dark": ("161b22", "e6edf3", "484f58 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf b1bac4"),
}
"""Background, foreground, and the eight colours of a terminal from black to white."""
_BORDER = "rgba(255,255,255,0.35)"
"""Of Rich's windows: not seen on a white page."""
_FONT_FACE = re.compile(r"\s*@font-face \{\{.*?\}\}", re.DOTALL)
"""Left out: a picture fetches nothing, and pages that show it forbid it to."""


def terminal_output(command: str, folder: Path, environment: Mapping[str, str], *, columns: int) -> str:
    """What a command prints on a terminal; its stderr is none, so that no progress is drawn."""
    terminal, terminal_end = pty.openpty()
    notes, notes_end = os.pipe()
    with subprocess.Popen(
        ["bash", "-c", f"stty cols {columns} -opost <&1; {command}"],
        cwd=folder,
        env={**os.environ, **environment, "TERM": "xterm", "COLUMNS": str(columns)},
        stdin=subprocess.DEVNULL,
        stdout=terminal_end,
        stderr=notes_end,
    ):
        os.close(terminal_end)
        os.close(notes_end)
        with selectors.DefaultSelector() as ready:
            ready.register(terminal, selectors.EVENT_READ)
            ready.register(notes, selectors.EVENT_READ)
            printed = b"".join(_read_all(ready))
    os.close(terminal)
    os.close(notes)
    return printed.decode().replace("\r\n", "\n").rstrip()


def _read_all(ready: selectors.BaseSelector) -> Iterator[bytes]:
    while ready.get_map():
        for key, _ in ready.select():
            try:
                piece = os.read(key.fd, 65536)
            except OSError:  # Linux: the terminal's other end is closed
                piece = b""
            yield piece
            if not piece:
                ready.unregister(key.fd)


def picture(text: str, *, theme: str, columns: int, name: str, alt: str) -> str:
    """An SVG of the text with its colours; ``alt`` is read to those who do not see it, and so is the text."""
    drawn = Text.from_ansi(text)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=columns, file=nowhere, force_terminal=True)
        console.print(drawn)
        svg = console.export_svg(
            title=alt, theme=_theme(theme), unique_id=f"{name}-{theme}", code_format=_svg_format()
        )
    words = f' role="img"><title>{escape(alt)}</title><desc>{escape(drawn.plain)}</desc>'
    lines = svg.replace(">", words, 1).replace(_BORDER, "rgba(128,128,128,0.4)").splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _svg_format() -> str:
    return _FONT_FACE.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, ", "ui-monospace, Menlo, ")


def _theme(name: str) -> TerminalTheme:
    background, foreground, colours = THEMES[name]
    return TerminalTheme(_rgb(background), _rgb(foreground), [_rgb(colour) for colour in colours.split()])


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue
