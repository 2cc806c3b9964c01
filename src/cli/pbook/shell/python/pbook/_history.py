"""The lines that were typed at the prompt, kept for the next session in .pbook_history, readable for their owner alone.

No line that set a secret is kept, and none that gave a value to a name which such a line used.
"""

import os
import re


class History:
    """keeps_all: also what sets a secret, since the user wants it so."""

    def __init__(self, file, keeps_all=False):
        self._file = file
        self._keeps_all = keeps_all
        self._held = []  # statements that give names a value: a later one may use them to set a secret
        #: Lines of this session that are kept, without the blanks around them.
        self.kept = set()

    def add(self, lines, set_secret):
        """A statement that was run. set_secret: it set one, by whatever name it called the function."""
        if not self._keeps_all and (set_secret or any("set_secret" in line for line in lines)):
            self._leave_out(lines)
        elif not self._keeps_all and _assigned_names(lines):
            self._held.append(lines)
        else:
            self._write([lines])

    def close(self):
        """Writes what was held back until now and no secret used."""
        held, self._held = self._held, []
        self._write(held)

    def _leave_out(self, lines):
        """Forgets the earlier statements that assigned what this one used, directly or through others."""
        used = _names_in("\n".join(lines))
        before = -1
        while before != len(self._held):
            before = len(self._held)
            # Backwards: what a statement that is left out used was assigned before it, or in a function that it calls.
            kept = []
            for statement in reversed(self._held):
                if _assigned_names(statement) & used:
                    used |= _names_in("\n".join(statement))
                else:
                    kept.insert(0, statement)
            self._held = kept

    def _write(self, statements):
        lines = [line for statement in statements for line in statement if line.strip() != ""]
        if not lines:
            return
        self.kept.update(line.strip() for line in lines)
        try:
            os.makedirs(os.path.dirname(self._file), mode=0o700, exist_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(descriptor, "a", encoding="utf-8", errors="replace") as file:
                file.write("".join(line + "\n" for line in lines))
        except OSError:
            pass  # a folder that cannot be written: the session goes on


_NAME = re.compile(r"[^\W\d]\w*")
_STRING = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")
#: A value that was typed: a text or a number.
_LITERAL = re.compile(r"""['"]|\b\d""")
#: Words of Python that stand in assignments and name nothing.
_NO_NAMES = {"async", "await", "for", "if", "else", "in", "is", "lambda", "not", "and", "or", "with"}
#: `def f`, `class C`, `for x in`, `with ... as x`, and a method that may change what it is called on: `x.append(...)`.
_BOUND_OTHERWISE = re.compile(r"\b(?:def|class|for|as)\s+([^\W\d]\w*)|([^\W\d]\w*)(?:\[[^\]]*\])?\.\w+\(")
#: `=`, `+=`, `:=`, and no comparison.
_ASSIGNS = re.compile(r"(?:\*\*|//|>>|<<|[-+*/|&^%@:])?(?<![=!<>])=(?!=)")


def _names_in(text):
    return set(_NAME.findall(text)) - _NO_NAMES


def _assigned_names(lines):
    """Names that a statement may give a value to: rather one too many, since all that costs is a line of history.

    A value that is shown is `_` afterwards, and a call may keep what it is given in any of its arguments: `setattr(c, "pw", "x")`.
    """
    names = set()
    if any(_LITERAL.search(line) for line in lines) and _shows_a_value("\n".join(lines)):
        names = _names_in(_STRING.sub("", "\n".join(lines))) | {"_"}
    for line in lines:
        for target in _ASSIGNS.split(line)[:-1]:
            names |= _names_in(target)
        for bound, changed in _BOUND_OTHERWISE.findall(line):
            names.add(bound or changed)
    return names


def _shows_a_value(source):
    """True for what is or ends with an expression, and for what cannot be read."""
    import ast

    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return any(isinstance(statement, ast.Expr) for statement in statements)
