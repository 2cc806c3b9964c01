"""Your secrets and tasks as functions, the same as the commands of pbook.

    import pbook
    pbook.set_secret('MY_SECRET', 'random_string')

A function prints how it went, as the command does, and returns it for a program. It raises pbook.Error where something was
refused. In a notebook nothing is shown that holds a value, unless it is asked for.
"""

import binascii
import datetime
import os

from . import _link, _results
from ._library import Library
from ._link import Error

__all__ = [
    "set_secret",
    "get_secret",
    "list_secrets",
    "delete_secret",
    "delete_all_secrets",
    "masking",
    "secret_history",
    "secret_versions",
    "restore_secret",
    "run",
    "show",
    "showl",
    "kill",
    "finish",
    "retry",
    "logs",
    "get_outputs",
    "login",
    "logout",
    "whoami",
    "quota",
    "help",
    "Error",
]

#: Whether a task was not told so that should have been.
failed = False


def set_secret(key, value, is_file=False, queues=None, mask=None, expires=None, sealed=None):
    """
    Keep a value under a name. A name that exists gets the new value.

    The value is a string of at most 1000 kB. Convert what is not a string: json.dumps(value) for a dict or a list,
    data.decode() or base64.b64encode(data).decode() for bytes. (PanDA's manual page writes
    base64.b64encode(data).encode(); that works at pbook's prompt and in its scripts.)

    With is_file=True the value is the path of a file to keep; the job finds a file of that name.

    With queues='Q1,Q2', or a list of names, only jobs on these queues get it; '*' lifts that again. Without queues a secret
    that is there stays with its queues, and a new one may go to any.

    With mask='whole' the logs of jobs hide the value alone; with mask='parts', as it is without it, also what is secret
    inside the value. masking(key) shows the choice.

    With expires='30d', a date or a datetime no job gets it after that, and the server removes it later; 'never' lifts that
    again. A date is its end in UTC.

    Where this device has a key (pbook keys), the value is sealed with it: the server cannot read it. With sealed=False it is
    sent as it is.

    example:
      >>> set_secret('MY_SECRET', 'random_string')
      >>> set_secret('MY_SECRET_SER', json.dumps({'a_key': 'a_value'}))
      >>> set_secret('my_key.pem', '/path/of/my_key.pem', is_file=True)
      >>> set_secret('DB_PASSWORD', 'random_string', queues='Q1,Q2')
    """
    _check_key("set_secret", key)
    attributes = _attributes(queues=queues, mask=mask, expires=_end(expires))
    if sealed is not None:
        attributes["sealed"] = bool(sealed)
    if is_file:
        try:
            path = os.path.abspath(os.fsdecode(value))
        except TypeError:
            raise TypeError(
                f"with is_file=True the value of set_secret must be the path of a file, not {_type(value)}"
            ) from None
        return _call("set_secret", key=key, path=path, **attributes)
    if not isinstance(value, str):
        raise TypeError(f"the value of set_secret must be a str, not {_type(value)}: {_conversion(value)}")
    return _call("set_secret", key=key, value=value, **attributes)


def get_secret(key):
    """
    Return the value of a secret: a str, or the bytes of a file.

    example:
      >>> token = get_secret('MY_SECRET')
    """
    _check_key("get_secret", key)
    kind, content = _link.call("get_secret", key=key)
    return _results.value(content if kind == "string" else binascii.a2b_base64(content))


def list_secrets(full=False, unused=None):
    """
    List your secrets. Values are cut after 50 characters; full=True shows them whole. A notebook shows values only with
    full=True. With unused='90d' only those that no job got, and nobody set, for so long.

    Returns a list of dicts with 'name', 'kind' ('string' or 'file', whose value is in base64), 'value', and what else a secret
    carries.

    example:
      >>> list_secrets()
      >>> list_secrets(full=True)
      >>> list_secrets(unused='90d')
      >>> names = [secret['name'] for secret in list_secrets()]
    """
    full = bool(full)
    named = {} if unused is None else {"unused": str(unused)}
    return _call("list_secrets", full=full, names=_results.in_notebook() and not full, **named)


def delete_secret(key=None, id=None):
    """
    Delete a secret with all its versions, or a damaged one by the id that list_secrets() tells.

    example:
      >>> delete_secret('MY_SECRET')
      >>> delete_secret(id='0b0e6a4c-4d2f-8a3b-9c41-5f0c8f6f2a11')
    """
    if id is not None:
        if key is not None:
            raise TypeError("delete_secret takes a key or an id, not both")
        if not isinstance(id, str):
            raise TypeError(f"the id of delete_secret must be a str, not {_type(id)}")
        return _call("delete_secret", id=id)
    _check_key("delete_secret", key)
    return _call("delete_secret", key=key)


def delete_all_secrets():
    """
    Delete all your secrets.
    """
    return _call("delete_all_secrets")


def masking(key, format="standard"):
    """
    Tell how much of a secret the logs of jobs hide, and which of its fields stay visible, without the value. Returns a list of
    dicts; with format='json' it prints nothing.

    example:
      >>> masking('MY_SECRET')
    """
    _check_key("masking", key)
    return _call("masking", format, key=key)


def secret_history(key=None, limit=100, format="standard"):
    """
    List which jobs were given your secrets, or one of them: when, where and in which version. Values are never shown.

    Returns a list of dicts; with format='json' it prints nothing.

    example:
      >>> secret_history()
      >>> secret_history('MY_SECRET')
    """
    named = {}
    if key is not None:
        _check_key("secret_history", key)
        named = {"key": key}
    return _call("secret_history", format, limit=limit, **named)


def secret_versions(key, format="standard"):
    """
    List the versions of a secret that are kept, without values. Returns a list of dicts; with format='json' it prints nothing.

    example:
      >>> secret_versions('MY_SECRET')
    """
    _check_key("secret_versions", key)
    return _call("secret_versions", format, key=key)


def restore_secret(key, version):
    """
    Make the value of a kept version the current one again. Returns the number of the version that it becomes.

    example:
      >>> restore_secret('MY_SECRET', 2)
    """
    _check_key("restore_secret", key)
    return _call("restore_secret", key=key, version=_version(version))


def run(command, secrets=None, secretsAs=None, links=True):
    """
    Run a command here with your secrets, as a job would find them: in panda_secrets.json, variables and files. What it prints is
    masked. Returns its exit status.

    The command is a list of words, or a str for the shell. secrets='A,B', or a list of names, gives it only these;
    secretsAs='json,env,files' chooses the forms. With links=False nothing is put into this folder: the variable
    PANDA_SECRETS_FILE tells where the files are.

    example:
      >>> run(['python3', 'my_job.py'])
      >>> run('python3 my_job.py | sort', secrets='DB_PASSWORD', secretsAs='env')
    """
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    if not isinstance(words, (list, tuple)) or not words or not all(isinstance(word, str) for word in words):
        raise TypeError(f"the command of run must be a str or a list of str, not {_type(command)}")
    chosen = {name: _words(name, value).split(",") for name, value in (("secrets", secrets), ("forms", secretsAs)) if value}
    return _call("run", words=list(words), links=bool(links), **chosen)


def show(
    some_ids=None,
    username=None,
    limit=None,
    taskname=None,
    days=None,
    jeditaskid=None,
    reqid=None,
    status=None,
    superstatus=None,
    format="standard",
):
    """
    Print your tasks.

    The first argument is a task id or a list of them, or 'run' for the active ones, or 'fin' for the ended ones, or
    nothing for all. The named arguments choose among them; the last 14 days and at most 1000 tasks are shown unless
    days and limit say otherwise. format is 'standard', 'long', or 'json', which prints nothing.

    Returns the tasks as a list of dicts.

    example:
      >>> show()
      >>> show(12345678)
      >>> show('run', days=7)
      >>> tasks = show(format='json')
    """
    given = next((ids for ids in (some_ids, jeditaskid, reqid) if ids is not None), ())
    words = [given] if given in ("run", "fin") else [str(number) for number in _ids(given)]
    named = dict(
        username=username, limit=limit, taskname=taskname, days=days, status=status, superstatus=superstatus, format=format
    )
    return _call("show", format, words=words + [f"{name}={value}" for name, value in named.items() if value is not None])


def showl(some_ids=None, **kwargs):
    """
    Print your tasks with dates and numbers of files: show(..., format='long').

    example:
      >>> showl()
      >>> showl(12345678)
    """
    return show(some_ids, **{**kwargs, "format": "long"})


def kill(taskIDs):
    """
    Kill tasks: what runs is stopped. An id, a list of ids, or 'all' for all your active tasks.

    Returns a list with True for each task that was told so.

    example:
      >>> kill(12345678)
      >>> kill([12345678, 12345679])
    """
    return _for_each("kill", taskIDs)


def finish(taskIDs, soft=False):
    """
    End tasks early: what has finished counts. An id, a list of ids, or 'all' for all your active tasks.

    With soft=True the jobs that run come to their end.

    example:
      >>> finish(12345678)
      >>> finish([12345678, 12345679], soft=True)
    """
    return _for_each("finish", taskIDs, soft=bool(soft))


def retry(taskIDs):
    """
    Run the failed jobs of ended tasks again. An id, a list of ids, or 'all' for all your tasks that finished in part.

    example:
      >>> retry(12345678)
    """
    return _for_each("retry", taskIDs)


def logs(taskID, follow=False):
    """
    Print the logs of a task's jobs, as far as they have come. With follow=True it goes on printing what running jobs
    print until the task ends, or Ctrl-C.

    Returns a list of dicts that describe the logs of ended jobs; with follow=True an empty one.

    example:
      >>> logs(12345678)
      >>> logs(12345678, follow=True)
    """
    return _call("logs", id=_id(taskID), follow=bool(follow))


def get_outputs(taskID, dir=".", force=False):
    """
    Fetch the outputs of a task's jobs into a folder, the current one unless dir says otherwise.

    A file that is there already is left alone unless force=True. Returns a list of dicts that describe the files.

    example:
      >>> get_outputs(12345678)
      >>> get_outputs(12345678, dir='results')
    """
    return _call("get_outputs", id=_id(taskID), dir=os.path.abspath(os.fspath(dir)), force=bool(force))


def login(browser=True):
    """
    Log in: prints an address to open in a browser, on this machine or any other, and waits until you did. browser=False opens
    none here.
    """
    return _call("login", browser=bool(browser))


def logout():
    """
    End the login of this machine.
    """
    return _call("logout")


def quota(format="standard"):
    """
    Tell how much of what you may keep and have under way is used. Returns a list of dicts; with format='json' it prints nothing.

    example:
      >>> quota()
    """
    return _call("quota", format)


def whoami():
    """
    Print who you are for the server. Returns a dict.
    """
    return _call("whoami")


def help(*about):
    """
    Tell what there is, or about one thing: help(), help(set_secret), help('set_secret').
    """
    if not about:
        print(_OVERVIEW)
        return
    with Library():
        import pydoc

    (thing,) = about
    if isinstance(thing, str) and thing in __all__:
        thing = globals()[thing]
    try:
        print(pydoc.plain(pydoc.render_doc(thing, title="Help on %s")))
    except ImportError:
        print(f"There is no command or module {thing!r}; help() lists the commands.")


_EXAMPLES = {"queues": "Q1,Q2", "mask": "whole", "secrets": "A,B", "forms": "json,env"}

_OVERVIEW = """
The commands:

    set_secret(key, value, is_file=False)   keep a value, or a file, under a name
    get_secret(key)                         return the value of one
    list_secrets(full=False)                list your secrets
    delete_secret(key)                      delete one
    delete_all_secrets()                    delete all of them
    masking(key)                            how much of one the logs of jobs hide
    secret_history(key=None)                which jobs were given secrets
    secret_versions(key)                    what is kept of a secret
    restore_secret(key, version)            take an earlier value again
    run(command, secrets=None)              run a command here with them

    show(...), showl(...)                   list your tasks
    kill(taskIDs), finish(taskIDs)          stop tasks
    retry(taskIDs)                          run failed jobs again
    logs(taskID, follow=False)              print the logs of a task
    get_outputs(taskID)                     fetch the outputs of a task

    login(), logout(), whoami()             who you are
    quota()                                 how much you may keep, and do

help(set_secret) tells more about one. A function prints how it went and returns it; where something is refused it raises
pbook.Error, whose code tells programs why. This is your own Python: what is installed for it can be imported. Tab completes
the names of functions and of secrets; Ctrl-C interrupts; exit() or Ctrl-D leaves. base64.b64encode and its relatives answer
bytes that also have an encode(), which gives text, as PanDA's manual page has it; elsewhere write decode().
"""


def _call(name, format="standard", **arguments):
    """Carries out a command, which prints how it went unless `format` is 'json', and answers its result."""
    silent = format == "json"
    result = _link.call(name, silent=silent, **arguments)
    if isinstance(result, list) and False in result:
        global failed
        failed = True
    return result if silent else _results.after_printing(result)


def _for_each(name, task_ids, **arguments):
    if task_ids == "all":
        tasks = _call("show", "json", words=["status=finished" if name == "retry" else "run"])
        task_ids = [task["jediTaskID"] for task in tasks]
        if not task_ids:
            print("No tasks")
            return []
    return _call(name, ids=_ids(task_ids), **arguments)


def _ids(given):
    return [_id(one) for one in given] if isinstance(given, (list, tuple, set, range)) else [_id(given)]


def _id(given):
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and given.isdecimal():
        return int(given)
    raise TypeError(f"a task id is a number, such as 12345678, not {_type(given)}")


def _attributes(**given):
    return {name: _words(name, value) for name, value in given.items() if value is not None}


def _end(given):
    """The end of a secret as text: a datetime without a time zone is local, as everywhere in Python."""
    if isinstance(given, datetime.datetime):
        return given.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(given, datetime.date):
        return given.isoformat()
    if isinstance(given, datetime.timedelta):
        return f"{int(given.total_seconds())}s"
    if given is None or isinstance(given, str):
        return given
    raise TypeError(f"expires must be a str such as '30d' or '2027-01-31', a date or a datetime, not {_type(given)}")


def _words(name, given):
    words = given.split(",") if isinstance(given, str) else given
    if isinstance(words, (list, tuple, set)) and all(isinstance(word, str) for word in words):
        return ",".join(words)
    raise TypeError(f"{name} must be a str such as {_EXAMPLES[name]!r}, or a list of names, not {_type(given)}")


def _version(given):
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise TypeError(f"a version is a number, such as 2, not {_type(given)}")


def _check_key(function, key):
    if not isinstance(key, str):
        raise TypeError(f"the key of {function} must be a str, not {_type(key)}")


def _type(value):
    return type(value).__name__


def _conversion(value):
    if value is None:
        return "to delete a secret, use delete_secret(key)"
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = "bytes(value)" if isinstance(value, memoryview) else "value"
        return (
            f"convert it with {data}.decode() where it is text, or with base64.b64encode(value).decode() where it is not"
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "convert it with str(value)"
    if hasattr(value, "read"):
        return "read it first, value.read(), or give its path with is_file=True"
    if isinstance(value, os.PathLike):
        return "add is_file=True to keep the file that the path names, or convert it with str(value)"
    return "convert it, for example with json.dumps(value)"
