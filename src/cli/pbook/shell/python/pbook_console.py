"""Runs what is typed at the prompt of pbook, or a whole script, in one namespace, as Python itself would."""

import ast
import builtins
import codeop
import inspect
import io
import itertools
import json
import linecache
import os
import random
import re
import rlcompleter
import sys
import time
import traceback
import types

import pbook
import pbook_text_bytes

_OWN_FILE = "<pbook>"

_main = types.ModuleType("__main__")
_compile = codeop.CommandCompiler()
_numbers = itertools.count()


def prepare():
    """Builds the namespace; what this does goes into the memory snapshot, so nothing of one machine may."""
    pbook_text_bytes.install()
    sys.modules["__main__"] = _main
    _main.__dict__.update({name: getattr(pbook, name) for name in pbook.__all__})
    _main.__builtins__ = builtins
    for name in ("exit", "quit"):
        setattr(builtins, name, _Leave(name))
    builtins.help = pbook.help


def start(host, settings):
    """Binds the interpreter to this process: its terminal, environment and folder.

    host: the functions that the thread offers (see python-thread.ts). settings: a JSON text.
    """
    settings = json.loads(settings)
    pbook.host = host
    os.environ.clear()
    os.environ.update(settings["environment"])
    random.seed()  # the snapshot holds one state for everybody
    sys.argv = settings["arguments"]
    time.sleep = _sleep
    if settings["terminal"]:
        sys.stdin = _TerminalInput()
        import getpass

        getpass.getpass = _getpass
        builtins.input = _input


def feed(source, complete):
    """Runs one statement. Answers "more" when it is not whole yet, "done", or "exit STATUS".

    complete: nothing follows, so a block need not be ended by a blank line.
    """
    file_name = f"<python-input-{next(_numbers)}>"
    try:
        code = _compile(source + "\n" if complete else source, file_name, "single")
    except (SyntaxError, ValueError, OverflowError, MemoryError) as error:
        _print_error(error.with_traceback(None))
        return "done"
    if code is None:
        return "more"
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    return _execute(code)


def run(source, file_name):
    """Runs a whole script. Answers "done" or "exit STATUS"; 1 after an uncaught error."""
    try:
        code = compile(source, file_name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, SyntaxError) and "set_secret" in (error.text or ""):
            error.text = None  # the line may hold a value, and this goes to a log
        _print_error(error.with_traceback(None))
        return "exit 1"
    answer = _execute(code, batch=True)
    if answer == "done" and pbook.failed:
        return "exit 1"
    return answer


def split(text):
    """The statements of a pasted text, as a JSON list of [first line, last line], 1 being the first of the text.

    Answers "null" where the text as a whole is not Python.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "null"
    ranges = []
    for node in body:
        first = min([node.lineno] + [part.lineno for part in getattr(node, "decorator_list", [])])
        if ranges and first <= ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], node.end_lineno)
        else:
            ranges.append([first, node.end_lineno])
    return json.dumps(ranges)


def complete(line):
    """The completions of the end of the line, as a JSON object: {"from": the part replaced, "to": [...]}."""
    part = re.search(r"[\w.]*$", line).group()
    options = []
    completer = rlcompleter.Completer(_main.__dict__)
    for number in itertools.count():
        try:
            option = completer.complete(part, number) if part else None
        except Exception:  # an attribute that raises
            option = None
        if option is None:
            break
        options.append(option)
    if "." not in part:
        options = _parameters(line[: len(line) - len(part)], part) + options
    return json.dumps({"from": part, "to": list(dict.fromkeys(options))})


def _parameters(before, part):
    """The named parameters of the call that the cursor stands in."""
    call = re.search(r"(\w+)\([^()]*$", before)
    function = call and _main.__dict__.get(call.group(1))
    if not callable(function) or re.search(r"=\s*$", before):
        return []
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return []
    return [f"{name}=" for name in names if name.startswith(part) and (part or not before.endswith("("))]


def _execute(code, batch=False):
    try:
        exec(code, _main.__dict__)
        answer = "done"
    except SystemExit as leaving:
        answer = f"exit {_status(leaving.code)}"
    except BaseException as error:
        _flush()
        _print_error(error)
        answer = ("exit 130" if isinstance(error, KeyboardInterrupt) else "exit 1") if batch else "done"
    _flush()
    return answer


def _status(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed by the reader, or replaced by the user


def _print_error(error):
    error.__traceback__ = _users_part(error.__traceback__)
    sys.last_exc = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if isinstance(error, KeyboardInterrupt) and error.__traceback__ is None:
        print("KeyboardInterrupt", file=sys.stderr)
        return
    if sys.excepthook is sys.__excepthook__ or getattr(sys.excepthook, "__module__", "").startswith(("_pyodide", "pyodide")):
        traceback.print_exception(error, colorize=_coloured())
    else:
        sys.excepthook(type(error), error, error.__traceback__)


def _coloured():
    import _colorize

    return _colorize.can_colorize(file=sys.stderr)


def _users_part(trace):
    """The traceback without the frames of pbook itself, at either end."""
    while trace is not None and trace.tb_frame.f_code.co_filename == _OWN_FILE:
        trace = trace.tb_next
    place = trace
    while place is not None:
        while place.tb_next is not None and place.tb_next.tb_frame.f_code.co_filename == _OWN_FILE:
            place.tb_next = place.tb_next.tb_next
        place = place.tb_next
    return trace


def _sleep(seconds, /):
    """Delay execution for a given number of seconds; the argument may be a floating-point number."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        pbook.host.sleep(left * 1000)


def _input(prompt="", /):
    """Read a line from the terminal; the line end is taken off. EOFError at Ctrl-D."""
    _flush()
    return pbook.ask("input", str(prompt))


def _getpass(prompt="Password: ", stream=None, *, echo_char=None):
    """Read a line from the terminal without showing it."""
    _flush()
    return pbook.ask("getpass", str(prompt))


class _TerminalInput(io.TextIOBase):
    """Standard input as far as a program at the prompt needs it: lines that the user types."""

    encoding = "utf-8"
    name = "<stdin>"

    def readable(self):
        return True

    def isatty(self):
        return True

    def fileno(self):
        return 0

    def readline(self, size=-1, /):
        try:
            return _input() + "\n"
        except EOFError:
            return ""

    def read(self, size=-1, /):
        return "".join(iter(self.readline, ""))


class _Leave:
    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"Use {self._name}() or Ctrl-D to leave"

    def __call__(self, code=None):
        raise SystemExit(code)
