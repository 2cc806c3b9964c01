"""Runs the prompt, or a script, in a namespace that has pbook's functions, as Python itself would run it."""

import builtins
import os
import resource
import sys
import types

import pbook

from . import _link, _report, _text_bytes

#: The environment brings code here: unlike the arguments of a process, other users cannot read it.
_CODE = "_PBOOK_CODE"
_EXIT_REFUSED = 1
_EXIT_USAGE = 2


def run(words, finds_beside):
    """words: the command line behind the name of _start.py. finds_beside: modules beside the script can be imported."""
    node, program, version, config_folder, kind, *arguments = words
    _link.program = [node, "--disable-warning=ExperimentalWarning", program]
    # A crash must not leave values on a disk. Who wants core files can raise the limit again.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    # Behind everything of the user's, for processes that multiprocessing starts.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    _text_bytes.install()
    code = os.environ.pop(_CODE, "")
    if kind == "prompt":
        _start_main([""], "" if finds_beside else None)
        from . import _prompt

        _prompt.run(sys.modules["__main__"], version, config_folder)
    elif kind == "code":
        _start_main(["-c", *arguments], "" if finds_beside else None)
        _run_script(code.encode("utf-8", "surrogateescape"), "<string>")
    elif kind == "input":
        _start_main(arguments or [""], "" if finds_beside else None)
        _run_script(sys.stdin.buffer.read(), "<stdin>")
    else:
        path = arguments[0]
        _start_main(arguments, os.path.dirname(os.path.realpath(path)) if finds_beside else None)
        sys.modules["__main__"].__file__ = path
        _run_script(_read(path), path)


def _start_main(arguments, folder):
    """Makes the module that the user's code runs in."""
    global _first_main
    _first_main = sys.modules["__main__"]  # kept: what it holds would be cleared
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    main.__dict__.update({name: getattr(pbook, name) for name in pbook.__all__ if name != "Error"}, pbook=pbook)
    builtins.help = pbook.help
    sys.modules["__main__"] = main
    sys.argv = arguments
    if folder is not None:
        sys.path.insert(0, folder)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        print("ERROR : %s cannot be read: %s" % (path, error.strerror), file=sys.stderr)
        sys.exit(_EXIT_USAGE)


def _run_script(source, file_name):
    sys.excepthook = _report.in_script(file_name, source)
    code = compile(source, file_name, "exec", dont_inherit=True)
    exec(code, sys.modules["__main__"].__dict__)
    if pbook.failed:
        sys.exit(_EXIT_REFUSED)
