"""Text that is pasted at the prompt: a page of a manual, with its prose, its prompts and the answers behind them."""

import ast
import re

_PROMPT = re.compile(r"\s*>>>(?: |$)")
_MORE_PROMPT = re.compile(r"\s*\.\.\.(?: |$)")


def code_of(text):
    """The code in a pasted text, at the left margin. Where it has lines with >>>, these and their ... alone are code.

    Answers how many lines were left out, too.
    """
    lines = text.splitlines()
    if not any(_PROMPT.match(line) for line in lines):
        return _without_margin(lines), 0
    code = []
    follows = False
    for line in lines:
        prompt = _PROMPT.match(line) or (follows and _MORE_PROMPT.match(line))
        follows = bool(prompt)
        if prompt:
            code.append(line[prompt.end() :])
    left_out = sum(1 for line in lines if line.strip() != "") - len(code)
    return "\n".join(code), left_out


def statements_of(code):
    """The statements of a text, each with its decorators and comments; None where the text as a whole is not Python."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    ranges = []
    for node in body:
        first = min([node.lineno] + [part.lineno for part in getattr(node, "decorator_list", [])])
        if ranges and first <= ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], node.end_lineno)
        else:
            ranges.append([first, node.end_lineno])
    lines = code.split("\n")
    return ["\n".join(lines[first - 1 : last]) for first, last in ranges]


def without_prompt(line):
    """A line as typed, without a >>> that was pasted along. Answers whether there was one, too."""
    prompt = _PROMPT.match(line)
    return (line[prompt.end() :], True) if prompt else (line, False)


def without_any_prompt(line):
    """A line without a >>> or a ... before it."""
    return without_more_prompt(without_prompt(line)[0])


def without_more_prompt(line):
    """The same for the ... of a line that goes on."""
    prompt = _MORE_PROMPT.match(line)
    return line[prompt.end() :] if prompt else line


def _without_margin(lines):
    """textwrap.dedent leaves the lines of a text alone whose first one has no margin; so must this."""
    filled = [line for line in lines if line.strip() != ""]
    margin = re.match(r"[ \t]*", filled[0]).group() if filled else ""
    if not all(line.startswith(margin) for line in filled):
        return "\n".join(lines)
    return "\n".join(line[len(margin) :] if line.strip() != "" else "" for line in lines)
