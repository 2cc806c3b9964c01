"""What the functions return, and what a notebook shows of it.

A notebook shows the value of a cell's last expression, and keeps it in a file that people pass on. So there a value of a secret
is shown by print() alone, and a result that a function printed is not shown once more.
"""

import sys

#: What the function that was called last returned after it had printed it.
printed = None


def after_printing(result):
    """A result that is on the screen already, so that nobody shows it again."""
    global printed
    printed = _for_notebook(result)
    return printed


def value(content):
    """The value of a secret, a str or the bytes of a file."""
    if not in_notebook():
        return content
    return _Value(content) if isinstance(content, str) else _Content(content)


def in_notebook():
    """Whether this Python is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    return hasattr(shell, "kernel")


def _for_notebook(result):
    if not in_notebook():
        return result
    if isinstance(result, list):
        return _List(_Row(one) if isinstance(one, dict) else one for one in result)
    if isinstance(result, dict):
        return _Row(result)
    if isinstance(result, int) and not isinstance(result, bool):
        return _Number(result)
    return result


class _Shown:
    """IPython asks an object for its looks by these methods."""

    def _ipython_display_(self):
        if self is not printed or _cell() != self._printed_in:
            print(repr(self))

    def __reduce__(self):
        return self._plain, (self._plain(self),)


def _cell():
    return getattr(sys.modules["IPython"].get_ipython(), "execution_count", None)


class _List(_Shown, list):
    _plain = list

    def __init__(self, rows):
        super().__init__(rows)
        self._printed_in = _cell()


class _Row(_Shown, dict):
    _plain = dict

    def __init__(self, given):
        super().__init__(given)
        if isinstance(given.get("value"), str):
            self["value"] = _Value(given["value"])
        self._printed_in = _cell()

    def __repr__(self):
        hidden = {"value": _Hidden()} if "value" in self else {}
        return repr({**self, **hidden})


class _Number(_Shown, int):
    _plain = int

    def __init__(self, _given):
        self._printed_in = _cell()


class _Hidden:
    def __repr__(self):
        return "<hidden>"


class _Secret:
    def _repr_pretty_(self, printer, _cycle):
        printer.text("<the value of a secret: print() shows it>")

    def __reduce__(self):
        return self._plain, (self._plain(self),)


class _Value(_Secret, str):
    _plain = str


class _Content(_Secret, bytes):
    _plain = bytes
