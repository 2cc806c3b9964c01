"""The prompt: the one of the user's Python, which also takes pasted pages and keeps its own history.

It has to be there at once. What only a statement needs is imported by a thread meanwhile, and the first statement waits for it.
"""

import _thread
import builtins
import itertools
import os
import sys

from . import _link, _results
from ._library import Library

_MAX_LINES = 1000


def find_editor():
    """The line editor: a function that reads statements with it and runs them. Imports what it needs."""
    if sys.version_info >= (3, 13) and not os.environ.get("PYTHON_BASIC_REPL"):
        try:
            return _python_313()
        except Exception:  # a part of Python that may change, or a terminal that cannot show it
            pass
    return _line_by_line()


def run(main, version, user, config_folder, read_statements):
    """Reads statements and runs them until the user leaves.

    user: the name to greet; None for one who may have to log in. config_folder: of PanDA's clients, for the history.
    """
    _greet(user)
    session = _Session(os.path.join(config_folder, ".pbook_history"))
    sys.displayhook = session.display
    startup_file = os.environ.get("PYTHONSTARTUP")
    if startup_file and not sys.flags.ignore_environment:
        session.prepare()
        _run_startup_file(startup_file, main)
    else:
        session.prepare_meanwhile()
    print(
        "pbook %s in Python %s (%s): help() lists the commands, exit() or Ctrl-D leaves"
        % (version, sys.version.split()[0], sys.executable),
        file=sys.stderr,
    )
    sys.ps1 = getattr(sys, "ps1", ">>> ")
    sys.ps2 = getattr(sys, "ps2", "... ")
    try:
        read_statements(main, session)
    finally:
        session.close()


def _greet(user):
    if user is not None:
        print("PBook user:", user.encode("unicode_escape").decode() if not user.isprintable() else user, file=sys.stderr)
        return
    command = [*_link.program, "greet"]
    try:
        os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)
    except KeyboardInterrupt:
        pass


class _Session:
    """What goes on from statement to statement: the history, and the process that carries out commands."""

    def __init__(self, history_file):
        self._file = history_file
        self._history = None
        self._sets = 0
        self._prepared = _thread.allocate_lock()
        self._editor = None
        self._completer = None

    def prepare_meanwhile(self):
        self._prepared.acquire()
        _thread.start_new_thread(self._prepare_and_tell, ())

    def _prepare_and_tell(self):
        try:
            self.prepare()
        finally:
            self._prepared.release()

    def prepare(self):
        """Imports the rest, and starts the process that carries out commands, so that it is ready when it is needed."""
        global _completion, _history, _paste, codeop, linecache
        with Library():
            self._start_link()
            import codeop
            import linecache

            from . import _history, _paste, _report, _text_bytes

            _link.import_rest()
            sys.excepthook = _report.at_prompt
            _text_bytes.install()
            self._history = _history.History(self._file, keeps_all=os.environ.get("PBOOK_HISTORY") == "all")
            from . import _completion

            # The import of rlcompleter has put another one in its place.
            if self._editor:
                self._editor.set_completer(self._complete)

    def wait(self):
        """Until all is there."""
        with self._prepared:
            pass

    def use_editor(self, editor, namespace):
        """editor: the module readline, or another with its functions."""
        for line in self._earlier_lines():
            editor.add_history(line)
        self._known = {item for _, item in _items(editor)}
        self._editor = editor
        self._namespace = namespace
        editor.set_completer(self._complete)

    def _complete(self, word, number):
        self.wait()
        if self._completer is None:
            self._completer = _completion.Completer(self._namespace, self._editor)
        return self._completer.complete(word, number)

    def _earlier_lines(self):
        """Those of earlier sessions, oldest first."""
        try:
            os.chmod(self._file, 0o600)
            with open(self._file, encoding="utf-8", errors="replace") as file:
                return [line for line in file.read().split("\n") if line][-_MAX_LINES:]
        except OSError:
            return []  # this is the first

    def begin(self):
        self.wait()
        _results.printed = None
        self._sets = _link.secrets_set

    def end(self, source):
        self._history.add(source.split("\n"), _link.secrets_set != self._sets)
        self._start_link()

    def display(self, value):
        """The displayhook: what a function has printed is not shown again."""
        if value is not None and value is _results.printed:
            builtins._ = value
        else:
            sys.__displayhook__(value)

    def close(self):
        self.wait()
        self._history.close()
        if self._editor:
            self._forget_in_editor()

    def _forget_in_editor(self):
        """Takes what is not kept from the editor: Python may write its lines to another file (PYTHONSTARTUP, PYTHONINSPECT)."""
        for number, item in reversed(_items(self._editor)):
            lines = [_paste.without_any_prompt(line).strip() for line in item.split("\n")]
            if item not in self._known and any(line and line not in self._history.kept for line in lines):
                self._editor.remove_history_item(number - 1)

    def _start_link(self):
        try:
            _link.start()
        except _link.Error:
            pass  # the first command says it


def _items(editor):
    """The statements that an editor remembers, with their numbers."""
    return [(number, editor.get_history_item(number) or "") for number in range(1, editor.get_current_history_length() + 1)]


def _run_startup_file(path, main):
    """What the user has every interactive Python run first."""
    try:
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except OSError as error:
        print("Could not open PYTHONSTARTUP: %s" % error, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())


def _python_313():
    """The editor of Python 3.13 and later, which takes statements of several lines."""
    from _pyrepl import readline as editor
    from _pyrepl.console import InteractiveColoredConsole
    from _pyrepl.main import CAN_USE_PYREPL
    from _pyrepl.simple_interact import run_multiline_interactive_console

    if not CAN_USE_PYREPL:
        raise RuntimeError("the terminal cannot show it")

    def read_statements(main, session):
        class Console(InteractiveColoredConsole):
            def runsource(self, source, *args, **kwargs):
                session.begin()
                code, _ = _paste.code_of(source)
                try:
                    return super().runsource(code, *args, **kwargs)
                finally:
                    session.end(code)

        editor._setup(main.__dict__)
        session.use_editor(editor, main.__dict__)
        run_multiline_interactive_console(Console(main.__dict__, filename="<stdin>"))

    return read_statements


def _line_by_line():
    """Readline, or what reads lines where there is none."""
    try:
        import readline
    except ImportError:
        readline = None

    def read_statements(main, session):
        if readline and sys.stdin.isatty() and sys.stdout.isatty():
            libedit = "libedit" in (readline.__doc__ or "")
            readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
            # A paste arrives as one text, and waits for Enter.
            readline.parse_and_bind("set enable-bracketed-paste on")
            session.use_editor(readline, main.__dict__)
        console = _Console(main.__dict__, session)
        while True:
            try:
                text = input(str(sys.ps2 if console.lines else sys.ps1))
            except EOFError:
                sys.stderr.write("\n")
                return
            except KeyboardInterrupt:
                sys.stderr.write("\nKeyboardInterrupt\n")
                console.lines = []
                continue
            console.take(text)

    return read_statements


class _Console:
    """Runs what a line editor reads."""

    def __init__(self, namespace, session):
        self._namespace = namespace
        self._session = session
        self._compile = None
        self._numbers = itertools.count()
        self._pasted = False
        #: Of the statement that is not whole yet.
        self.lines = []

    def take(self, text):
        """A line, or a paste of several."""
        self._session.wait()
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
            sys.stderr.write("# pasted without the %d lines that have no >>>\n" % left_out)
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
        self._compile = self._compile or codeop.CommandCompiler()
        self._session.begin()
        try:
            compiled = self._compile(source, name, "single")
            if compiled is None:
                return True
            linecache.cache[name] = (len(shown), None, [line + "\n" for line in shown.split("\n")], name)
            exec(compiled, self._namespace)
        except SystemExit:
            self._session.end(shown)
            raise
        except BaseException:
            self._show_error()
        self._flush()
        self._session.end(shown)
        return False

    def _show_error(self):
        kind, error, trace = sys.exc_info()
        sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace.tb_next
        sys.last_exc = error
        self._flush()
        try:
            sys.excepthook(kind, error, trace)
        except BaseException:  # the user's own hook
            sys.__excepthook__(*sys.exc_info())

    def _flush(self):
        try:
            sys.stdout.flush()
        except (AttributeError, OSError, ValueError):
            pass  # closed, or replaced by the user
