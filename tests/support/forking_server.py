"""The program behind `support.forked_commands`: it has loaded promptops, and forks for each command line."""

import atexit
import contextlib
import gc
import importlib
import marshal
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import traceback
import types
import warnings
from pathlib import Path
from typing import Any, NoReturn

import promptops
from promptops.errors import Invalid

PATH = sys.path[0 if sys.flags.safe_path else 1 :]  # without the folder of this program
AHEAD = ("aiohttp", "sqlite_utils")  # what verbs import where they use it


def load_ahead() -> None:
    for each in pkgutil.walk_packages(promptops.__path__, "promptops."):
        if not each.name.endswith("__main__"):
            with contextlib.suppress(Invalid):  # of an extra that is not installed
                importlib.import_module(each.name)
    for name in AHEAD:
        importlib.import_module(name)


def next_command(listener: socket.socket) -> tuple[list[str], str, dict[str, str], bool]:
    """Return once for each command line, in a process of its own; its parent says how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            sys.exit()  # whoever asked for it has gone, however it ended
        connection = listener.accept()[0]
        if not os.fork():
            break
        connection.close()
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, *_ = socket.recv_fds(connection, 4, 3)
    command = marshal.loads(connection.recv(*struct.unpack("i", size), socket.MSG_WAITALL))  # noqa: S302 - ours
    if child := os.fork():
        for stream in streams:
            os.close(stream)
        connection.sendall(struct.pack("i", child))
        connection.sendall(struct.pack("i", os.waitpid(child, 0)[1]))
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return command


def settle(folder: str, environment: dict[str, str], *, new_session: bool) -> None:
    """Be as a new interpreter would be there."""
    if new_session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = open(  # noqa: SIM115 - stays open as long as the process
            number,
            "w" if number else "r",
            encoding="utf-8",
            errors="backslashreplace" if name == "stderr" else "strict",
            buffering=1 if name == "stderr" or os.isatty(number) else -1,
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(option: str, arguments: list[str]) -> None:
    """What follows ``python`` on a command line."""
    sys.path[:] = PATH
    if option == "-P":
        option, *arguments = arguments
    elif not os.environ.get("PYTHONSAFEPATH"):
        sys.path.insert(0, {"-c": "", "-m": str(Path.cwd())}.get(option, str(Path(option).parent)))
    sys.argv = list(arguments)
    if option == "-m":
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv[0] = "-c"
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(arguments[0], "<string>", "exec"), main.__dict__)  # noqa: S102 - as python -c does
    else:
        sys.argv.insert(0, option)
        runpy.run_path(option, run_name="__main__")


def run_to_the_end(option: str, arguments: list[str]) -> NoReturn:
    """As an interpreter ends, but for its modules: taking them down takes longer than most commands."""
    code: Any = 0
    try:
        run(option, arguments)
    except SystemExit as error:
        code = error.code
    except BaseException as error:  # noqa: BLE001 - printed, as at the end of any program
        traceback.print_exc()
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # noqa: SLF001 - waits for threads
    atexit._run_exitfuncs()  # noqa: SLF001
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    load_ahead()
    gc.collect()
    gc.freeze()
    (option, *arguments), *surroundings, new_session = next_command(socket.socket(fileno=int(sys.argv[1])))
    settle(*surroundings, new_session=new_session)
    run_to_the_end(option, arguments)
