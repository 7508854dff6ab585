"""What a person says in a chat: a line, several of them, or a text from an editor."""

import sys
from enum import Enum

from promptops.config.text import decode_input
from promptops.console import note, note_error, stdin_and_stdout_are_terminals
from promptops.errors import Invalid

COMMANDS = """\
!multi [WORD]   enter several lines; !end [WORD] sends them
!edit [TEXT]    write the next message in your editor
!retry          send the message again that was not answered
!help           show this
quit, exit      end the chat, as Ctrl-D does; Ctrl-C cuts an answer"""
_MAX_BYTES = 20_000_000  # of one line


class ChatCommand(Enum):
    """What is said to the chat itself."""

    RETRY = "!retry"
    END = "quit"


class ChatInput:
    """Reads one message after the other: on a terminal with a prompt and line editing, else line by line."""

    def __init__(self) -> None:
        self.is_terminal = stdin_and_stdout_are_terminals()
        self._read = input if self.is_terminal else _read_line
        if self.is_terminal:
            _edit_lines()

    def next(self, label: str) -> str | ChatCommand:
        """The next message, however it is given; nothing but space is none."""
        while True:
            try:
                line = self._read(f"{label}> ")
            except EOFError:
                if self.is_terminal:
                    note("")
                return ChatCommand.END
            except KeyboardInterrupt:
                if not self.is_terminal:
                    raise
                note("\nquit or Ctrl-D ends the chat")
                continue
            said = self._understand(line)
            if isinstance(said, ChatCommand) or said.strip():
                return said

    def _understand(self, line: str) -> str | ChatCommand:
        word, _, rest = line.strip().partition(" ")
        if word in ("quit", "exit") and not rest:
            return ChatCommand.END
        if word == "!retry":
            return ChatCommand.RETRY
        if word == "!multi":
            return self._several_lines(f"!end {rest}".strip())
        if word == "!edit":
            return self._edited(rest)
        if not (word.startswith("!") and word[1:].isalpha()):
            return line
        other = f"no such command: {word}; !help lists them, and !multi sends such a line"
        note(COMMANDS if word == "!help" else other)
        return ""

    def _several_lines(self, end: str) -> str:
        """Up to the line that ends them; what was typed before the end of the input counts as well."""
        lines: list[str] = []
        while True:
            try:
                line = self._read(". ")
            except EOFError:
                break
            except KeyboardInterrupt:
                if not self.is_terminal:
                    raise
                note("\nnot sent")
                return ""
            if line.strip() == end:
                break
            lines.append(line)
        return "\n".join(lines)

    def _edited(self, text: str) -> str:
        if not self.is_terminal:
            note("!edit needs a terminal")
            return ""
        from promptops.cli.editor import edit_text

        try:
            edited = edit_text(text).strip()
        except Invalid as error:
            note_error(error)
            return ""
        if edited and edited != text.strip():
            return edited
        note("nothing new was saved, so nothing is sent")
        return ""


def _read_line(_: str) -> str:
    data = sys.stdin.buffer.readline(_MAX_BYTES + 1)
    if not data:
        raise EOFError
    if len(data) > _MAX_BYTES:
        raise Invalid(f"a line of stdin has more than {_MAX_BYTES:,} bytes", hint="shorten it")
    return decode_input(data, "stdin").rstrip("\r\n")


def _edit_lines() -> None:
    """Cursor keys and earlier lines; what is pasted stays one message, also with line feeds in it."""
    try:
        import readline
    except ImportError:  # Python can be built without
        return
    readline.parse_and_bind("set enable-bracketed-paste on")
