"""A program that other programs start as `python -m cxrlt_cli` or `cxrlt`, and that costs no start of Python.

It asks the tests for a process that their server forks (see processes.py), sends it the signals that it receives itself,
and ends as it ends. torchrun, Slurm and a study start it instead of Python.
"""

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

from processes import SERVER, START, run_module, run_server

_PROGRAM = """\
#!{python} -IS
import json, os, signal, socket, sys

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
arguments = [argument for argument in sys.argv[1:] if argument != "-u"]
name, *arguments = arguments[1:] if arguments[:1] == ["-m"] else ["cxrlt_cli", *arguments]
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
asked = dict(name=name, arguments=arguments, cwd=os.getcwd(), environment=dict(os.environ), pid=os.getpid())
server.sendall(json.dumps(asked).encode() + b"\\n")
answers = server.makefile()
process = int(answers.readline())
for number in SIGNALS:
    signal.signal(number, lambda number, _: os.kill(process, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
code = int(answers.readline())
if code < 0:
    if -code in SIGNALS:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextmanager
def forked_python() -> Iterator[Path]:
    """The program `cxrlt` in a folder of its own; it works while open."""
    with tempfile.TemporaryDirectory(prefix="python-", dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as server:
        program, address = Path(folder) / "cxrlt", f"{folder}/socket"
        server.bind(address)
        server.listen()
        program.write_text(_PROGRAM.format(python=sys.executable, socket=address))
        program.chmod(0o755)
        accepting = Thread(target=_accept, args=(server,), daemon=True)
        accepting.start()
        yield program
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()


def use_forked_python(program: Path) -> None:
    """From here on, this process starts Python by that program."""
    sys.executable = str(program)


def _accept(server: socket.socket) -> None:
    with suppress(OSError):  # it is closed
        while True:
            connection, _ = server.accept()
            Thread(target=_fork, args=(connection,), daemon=True).start()


def _fork(connection: socket.socket) -> None:
    """The process that one program asks for; it is killed with the program."""
    with connection, suppress(ConnectionError):
        asked = json.loads(connection.makefile().readline())
        streams = [f"/proc/{asked['pid']}/fd/{number}" for number in (1, 2)]
        given = (asked["name"], asked["arguments"], asked["cwd"], asked["environment"], streams)
        process = SERVER.Process(target=run_module, args=given)
        with START:
            run_server()
            process.start()
        try:
            connection.sendall(f"{process.pid}\n".encode())
            wait([process.sentinel, connection])
        finally:
            with START:
                if process.exitcode is None:
                    process.kill()
                process.join()
        connection.sendall(f"{process.exitcode}\n".encode())
