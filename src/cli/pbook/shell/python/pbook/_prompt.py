"""The prompt: the one of the user's Python, which also takes pasted pages and keeps its own history."""

import builtins
import code
import itertools
import linecache
import os
import sys

from . import _completion, _history, _link, _paste, _report, _results


def run(main, version, config_folder):
    """Reads statements and runs them until the user leaves. config_folder: of PanDA's clients, for the history."""
    session = _Session(os.path.join(config_folder, ".pbook_history"))
    sys.displayhook = session.display
    sys.excepthook = _report.at_prompt
    _run_startup_file(main)
    print(
        "pbook %s in Python %s (%s): help() lists the commands, exit() or Ctrl-D leaves"
        % (version, sys.version.split()[0], sys.executable),
        file=sys.stderr,
    )
    sys.ps1 = getattr(sys, "ps1", ">>> ")
    sys.ps2 = getattr(sys, "ps2", "... ")
    try:
        (_run_python_313(main, session) if _has_new_editor() else _run_line_by_line(main, session))
    finally:
        session.close()


class _Session:
    """What goes on from statement to statement: the history, and the process that carries out commands."""

    def __init__(self, history_file):
        self._history = _history.History(history_file, keeps_all=os.environ.get("PBOOK_HISTORY") == "all")
        self._sets = 0
        self.start_link()

    def use_editor(self, editor, namespace):
        """editor: the module readline, or another with its functions."""
        for line in self._history.earlier_lines():
            editor.add_history(line)
        editor.set_completer(_completion.Completer(namespace, editor).complete)

    def start_link(self):
        """Starts the process that carries out commands, so that it is ready when it is needed."""
        try:
            _link.start()
        except _link.Error:
            pass  # the first command says it

    def begin(self):
        _results.printed = None
        self._sets = _link.secrets_set

    def end(self, source):
        self._history.add(source.split("\n"), _link.secrets_set != self._sets)
        self.start_link()

    def display(self, value):
        """The displayhook: what a function has printed is not shown again."""
        if value is not None and value is _results.printed:
            builtins._ = value
        else:
            sys.__displayhook__(value)

    def close(self):
        self._history.close()


def _run_startup_file(main):
    """What the user has every interactive Python run first."""
    path = os.environ.get("PYTHONSTARTUP")
    if not path or sys.flags.ignore_environment:
        return
    try:
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except OSError as error:
        print("Could not open PYTHONSTARTUP: %s" % error, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())


def _has_new_editor():
    """Whether this Python has the editor of 3.13, and the terminal can show it."""
    if sys.version_info < (3, 13) or os.environ.get("PYTHON_BASIC_REPL"):
        return False
    try:
        from _pyrepl.main import CAN_USE_PYREPL

        return CAN_USE_PYREPL
    except Exception:  # a part of Python that may change
        return False


def _run_python_313(main, session):
    from _pyrepl import readline as editor
    from _pyrepl.console import InteractiveColoredConsole
    from _pyrepl.simple_interact import run_multiline_interactive_console

    class Console(InteractiveColoredConsole):
        def runsource(self, source, *args, **kwargs):
            code, _ = _paste.code_of(source)
            session.begin()
            try:
                return super().runsource(code, *args, **kwargs)
            finally:
                session.end(code)

    editor._setup(main.__dict__)
    session.use_editor(editor, main.__dict__)
    run_multiline_interactive_console(Console(main.__dict__, filename="<stdin>"))


def _run_line_by_line(main, session):
    if sys.stdin.isatty() and sys.stdout.isatty():
        _use_readline(main, session)
    console = _Console(main.__dict__, session)
    while True:
        try:
            text = console.raw_input(str(sys.ps2 if console.lines else sys.ps1))
        except EOFError:
            console.write("\n")
            return
        except KeyboardInterrupt:
            console.write("\nKeyboardInterrupt\n")
            console.lines = []
            continue
        console.take(text)


def _use_readline(main, session):
    try:
        import readline
    except ImportError:
        return
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    # A paste arrives as one text, and waits for Enter.
    readline.parse_and_bind("set enable-bracketed-paste on")
    session.use_editor(readline, main.__dict__)


class _Console(code.InteractiveConsole):
    """Runs what a line editor reads."""

    def __init__(self, namespace, session):
        super().__init__(namespace, filename="<stdin>")
        self._session = session
        self._numbers = itertools.count()
        self._pasted = False
        #: Of the statement that is not whole yet.
        self.lines = []

    def take(self, text):
        """A line, or a paste of several."""
        if "\n" in text and not self.lines:
            self._take_paste(text)
            return
        for line in text.split("\n"):
            self._take_line(line)

    def _take_line(self, line):
        if not self.lines:
            line, self._pasted = _paste.without_prompt(line)
        elif self._pasted:
            line = _paste.without_more_prompt(line)
        self.lines.append(line)
        if not self._run("\n".join(self.lines)):
            self.lines = []

    def _take_paste(self, text):
        code, left_out = _paste.code_of(text)
        if left_out:
            self.write("# pasted without the %d lines that have no >>>\n" % left_out)
        statements = _paste.statements_of(code)
        if statements is None:
            for line in code.split("\n"):
                self._take_line(line)
            return
        for statement in statements:
            # With an empty line behind it, so that a block is whole.
            self._run(statement + "\n", shown=statement)

    def _run(self, source, shown=None):
        """Runs a statement. True when it is not whole yet."""
        shown = source if shown is None else shown
        name = "<python-input-%d>" % next(self._numbers)
        self._session.begin()
        try:
            compiled = self.compile(source, name, "single")
        except (OverflowError, SyntaxError, ValueError, MemoryError):
            self.showsyntaxerror(name)
        else:
            if compiled is None:
                return True
            linecache.cache[name] = (len(shown), None, [line + "\n" for line in shown.split("\n")], name)
            self.runcode(compiled)
        self._session.end(shown)
        return False
