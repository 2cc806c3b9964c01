"""Has pbook's own program carry out commands: a process of Node, which this one starts when it is first needed.

The two ends of a socket without a name connect the processes. Nobody else can open it, and what this process starts does not
inherit it. A line in JSON is a message: one request at a time, then what is to be shown, perhaps a question that
is answered, then the result.
"""

import _thread
import codecs
import os
import sys

from ._library import Library

#: The descriptor of the program's end in the shell that starts it. In the program it is standard input.
_PASSED_ON = 3
#: Starts the program so that it is no child of this process, whose wait() would find it; no core file will have its memory. It has
#: no terminal: at its end Node puts one back to how it was at its start, while a line is being edited there.
_LAUNCH = 'ulimit -c 0 2>/dev/null; [ -t 2 ] && exec 2>/dev/null; "$@" <&3 3<&- >/dev/null &'


class Error(Exception):
    """A command was refused or failed. `code` tells programs why: 'ERR_NOT_FOUND', 'ERR_UNAVAILABLE' and so on."""

    def __init__(self, message, code="ERR_REFUSED"):
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (self.args[0], self.code)


#: The command line of the program; where pbook started this Python, it says which.
program = None

#: Counts the secrets that were set, for the history.
secrets_set = 0

#: The module, from the first command on.
json = None

_lock = _thread.RLock()
_connection = None


def call(name, **arguments):
    """Carries out a command, shows what it prints, and answers its result.

    Raises Error when it was refused. Ctrl-C, like everything else that ends the wait, ends the command.
    """
    global secrets_set
    secrets_set += name == "set_secret"
    with _lock:
        import_rest()
        if _connection is not None and _connection.busy:
            raise RuntimeError("a function of pbook is running in this thread already")
        start()
        try:
            if not _connection.ask(name, arguments):  # the program ended meanwhile, and has seen nothing of this
                _drop()
                start()
                _connection.ask(name, arguments)
            return _connection.answer()
        except Error:
            raise
        except BaseException:
            _drop()
            raise


def import_rest():
    """Imports what only a command needs."""
    global json
    if json is None:  # other threads of the user's may import at this moment
        with Library():
            import json


def start():
    """Starts the program, and does not wait until it is ready."""
    global _connection
    with _lock:
        if _connection is None:
            _connection = _Connection()


def _drop():
    global _connection
    if _connection is not None:
        _connection.close()
        _connection = None


class _Connection:
    def __init__(self):
        self._environment = dict(os.environ)
        self._socket = _launch(self._environment)
        self._received = bytearray()
        self.busy = False

    def ask(self, name, arguments):
        """Sends a request. False when nobody is there to read it."""
        self.busy = True
        request = json.dumps({"call": name, "arguments": arguments, **self._surroundings()})
        try:
            self._socket.sendall(request.encode() + b"\n")
        except ConnectionError:  # no other OSError: the TimeoutError of a signal's handler is one
            return False
        return True

    def answer(self):
        """Shows what comes, and answers the result. The connection is of no use after any error that is not an Error."""
        screens = {"out": _Screen("stdout"), "err": _Screen("stderr")}
        while True:
            message = self._receive()
            if message is None:
                _drop()
                raise Error(
                    "pbook's own process has ended, and with it the command: it may be done or not. The next one starts it again",
                    "ERR_UNAVAILABLE",
                )
            if "result" in message or "error" in message:
                self.busy = False
                if "error" in message:
                    raise Error(message["error"]["message"], message["error"]["code"])
                return message["result"]
            if "ask" in message:
                self._socket.sendall(json.dumps({"answer": _passphrase(message["ask"])}).encode() + b"\n")
                continue
            for stream, text in message.items():
                screens[stream].show(text.encode("latin-1"))

    def close(self):
        self._socket.close()

    def _surroundings(self):
        """The folder, the terminal, and what changed in the environment since the last request."""
        now = dict(os.environ)
        changed = {name: value for name, value in now.items() if self._environment.get(name) != value}
        removed = {name: None for name in self._environment if name not in now}
        self._environment = now
        return {"folder": _folder(), "environment": {**changed, **removed}, "terminal": _terminal()}

    def _receive(self):
        """The next message; None at the end."""
        while True:
            end = self._received.find(b"\n")
            if end >= 0:
                line = bytes(self._received[:end])
                del self._received[: end + 1]
                return json.loads(line)
            try:
                chunk = self._socket.recv(65536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                return None
            self._received += chunk


class _Screen:
    """A stream of this Python, wherever it leads: a terminal, a file, a notebook."""

    def __init__(self, name):
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(self, data):
        stream = getattr(sys, self._name)
        if stream is None:
            return
        buffer = getattr(stream, "buffer", None)
        if buffer is not None and stream is getattr(sys, "__%s__" % self._name):
            stream.flush()
            buffer.write(data)
        else:
            stream.write(self._decoder.decode(data))
        stream.flush()


def _passphrase(prompt):
    """Asks the user, without showing it; None where nobody is there. A notebook puts its own way of asking into getpass."""
    with Library():
        import getpass
    own = getpass.getpass.__module__ == "getpass"
    if own and not (sys.stdin and sys.stdin.isatty()):
        return None
    return getpass.getpass(prompt + " ")


def _launch(environment):
    with Library():
        import _socket
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        end = theirs.fileno()
        if end == _PASSED_ON:  # dup2 of itself would keep the mark that closes it
            end = os.dup(end)
        process = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _LAUNCH, "pbook", *_command_line()],
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, end, _PASSED_ON), (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,  # Ctrl-C at the terminal is for this process
        )
        if end != theirs.fileno():
            os.close(end)
    except OSError as error:
        ours.close()
        raise Error("pbook's own process cannot be started: %s" % error.strerror, "ERR_UNAVAILABLE") from None
    finally:
        theirs.close()
    try:
        os.waitpid(process, 0)
    except ChildProcessError:
        pass  # the user's code waited for it
    return ours


def _command_line():
    return [*(program or _installed_program()), "functions"]


def _installed_program():
    """The program beside this module, for a Python that pbook did not start."""
    with Library():
        import shutil

    folder = os.path.dirname(os.path.abspath(__file__))
    up = lambda count, *names: os.path.normpath(os.path.join(folder, *[".."] * count, *names))
    single = up(1, "program")
    if os.path.islink(single):
        return [single]  # one executable, which wrote this module
    built = up(3, "pbook.js")
    if not os.path.exists(built):
        return [up(6, "bin", "pbook")]  # in a source tree
    # Debian's package has a Node of its own; npm puts a package's folder below lib/node_modules of the Node that it belongs to.
    belongs = os.path.basename(up(6)) == "lib" and os.path.basename(up(5)) == "node_modules"
    nodes = [up(4, "bin", "node"), belongs and up(7, "bin", "node"), shutil.which("node")]
    node = next((node for node in nodes if node and os.access(node, os.X_OK)), None)
    if node is None:
        raise Error("pbook needs Node, and there is no node on the PATH", "ERR_UNAVAILABLE")
    return [node, "--disable-warning=ExperimentalWarning", built]


def _folder():
    try:
        return os.getcwd()
    except OSError:
        return ""  # it was removed


def _terminal():
    """What the two streams are, and the width of the screen."""
    told = {}
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        try:
            told[name] = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
        except (AttributeError, OSError, ValueError):
            told[name] = 0
    return told


def _forget():
    """In a child of fork(): the connection is the parent's."""
    global _lock, _connection
    _lock = _thread.RLock()
    if _connection is not None:
        _connection.close()
        _connection = None


os.register_at_fork(after_in_child=_forget)
