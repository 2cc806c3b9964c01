"""How an uncaught error is shown: a refusal as one line, another one as its traceback, without what is pbook's own."""

import linecache
import os
import sys
import traceback

from ._link import Error

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))
#: What stands between the prompt and the user's code.
_BETWEEN = {
    os.path.join(os.path.dirname(os.__file__), name) for name in ("code.py", "codeop.py", os.path.join("_pyrepl", "console.py"))
}

_HINTS = {
    "!": "this is Python: import subprocess; subprocess.run(%r, shell=True) runs a command of the shell",
    "%cd": "this is Python: import os; os.chdir(%r) changes the folder",
    "%": "this is Python, without IPython's %% commands; import pbook works in IPython and Jupyter, too",
}


def at_prompt(kind, error, trace):
    """The excepthook of the prompt."""
    if _refusal(error):
        return
    trace = _users_part(trace)
    if kind is KeyboardInterrupt and trace is None:
        print("KeyboardInterrupt", file=sys.stderr)
        return
    _show(kind, error, trace)
    hint = _hint(error)
    if hint:
        print(hint, file=sys.stderr)


def in_script(file_name, source):
    """The excepthook of a script. Its lines are not shown: one may hold a value, and this may go to a log."""

    def hook(kind, error, trace):
        users = _users_part(trace)
        place = "" if file_name == "<string>" else _place(file_name, users)
        if _refusal(error, place):
            return
        linecache.cache[file_name] = (0, None, [], file_name)
        if isinstance(error, SyntaxError) and error.filename == file_name and b"set_secret" in source:
            error.text = None
        _show(kind, error, users)

    return hook


def _refusal(error, place=""):
    if not isinstance(error, Error):
        return False
    word = "\033[31mERROR\033[39m" if _coloured(sys.stderr) else "ERROR"
    print("%s : %s%s" % (word, error, place), file=sys.stderr)
    return True


def _place(file_name, trace):
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file_name:
            line = trace.tb_lineno
        trace = trace.tb_next
    name = "standard input" if file_name == "<stdin>" else os.path.basename(file_name)
    return " (line %d of %s)" % (line, name) if line else ""


def _show(kind, error, trace):
    # The interpreter's own hook has colours from 3.13 on; before that it would not find the lines that were typed.
    error = error.with_traceback(trace)
    if sys.version_info >= (3, 13) and sys.stderr is sys.__stderr__:
        sys.__excepthook__(kind, error, trace)
    else:
        traceback.print_exception(kind, error, trace)


def _users_part(trace):
    """The traceback without the frames of pbook itself, at either end."""
    while trace is not None and (_is_own(trace) or _file_of(trace) in _BETWEEN):
        trace = trace.tb_next
    place = trace
    while place is not None:
        while place.tb_next is not None and _is_own(place.tb_next):
            place.tb_next = place.tb_next.tb_next
        place = place.tb_next
    return trace


def _is_own(trace):
    return _file_of(trace).startswith(_OWN_FOLDER + os.sep)


def _file_of(trace):
    return trace.tb_frame.f_code.co_filename


def _hint(error):
    text = (error.text or "").strip() if isinstance(error, SyntaxError) else ""
    for begin, hint in _HINTS.items():
        if text.startswith(begin):
            rest = text[len(begin) :].strip()
            return "hint: " + (hint % rest if "%r" in hint else hint % ())
    return None


def _coloured(stream):
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return hasattr(stream, "isatty") and stream.isatty()
