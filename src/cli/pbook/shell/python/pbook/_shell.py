"""Runs the prompt, or a script, in a namespace that has pbook's functions, as Python itself would run it."""

import builtins
import os
import resource
import sys
import types

import pbook

from . import _link

#: The environment brings code here: unlike the arguments of a process, other users cannot read it.
_CODE = "_PBOOK_CODE"
_USER = "_PBOOK_USER"
_EXIT_REFUSED = 1
_EXIT_USAGE = 2


def prepare(words, finds_beside):
    """Imports what is needed, and answers a function that runs. words: the command line behind the name of _start.py."""
    node, program, version, config_folder, kind, *arguments = words
    # One executable has its program inside.
    _link.program = [node, "--disable-warning=ExperimentalWarning", program] if program else [node]
    # A crash must not leave values on a disk. Who wants core files can raise the limit again.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    code = os.environ.pop(_CODE, "")
    user = os.environ.pop(_USER, None)
    if kind == "prompt-or-input" and os.isatty(0):
        from . import _prompt

        read_statements = _prompt.find_editor()

        def run():
            _start_main([""], "" if finds_beside else None)
            _prompt.run(sys.modules["__main__"], version, user, config_folder, read_statements)

        return run
    from . import _report, _text_bytes

    _link.import_rest()
    _text_bytes.install()

    def run_script():
        if kind == "code":
            _start_main(["-c", *arguments], "" if finds_beside else None)
            source, name = code.encode("utf-8", "surrogateescape"), "<string>"
        elif kind in ("input", "prompt-or-input"):
            _start_main(arguments or [""], "" if finds_beside else None)
            source, name = sys.stdin.buffer.read(), "<stdin>"
        else:
            name = arguments[0]
            _start_main(arguments, os.path.dirname(os.path.realpath(name)) if finds_beside else None)
            sys.modules["__main__"].__file__ = name
            source = _read(name)
        sys.excepthook = _report.in_script(name, source)
        exec(compile(source, name, "exec", dont_inherit=True), sys.modules["__main__"].__dict__)
        if pbook.failed:
            sys.exit(_EXIT_REFUSED)

    return run_script


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
    # Behind everything of the user's, for processes that multiprocessing starts.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if folder is not None:
        sys.path.insert(0, folder)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        print("ERROR : %s cannot be read: %s" % (path, error.strerror), file=sys.stderr)
        sys.exit(_EXIT_USAGE)
