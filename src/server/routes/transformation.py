#!/usr/bin/env python3
"""Runs one job of panda-secrets for a pilot of PanDA's, in the pilot's working directory.

    -j ""              not used
    --sourceURL URL    the server that has the sandbox
    -a SANDBOX         the archive to fetch from there and unpack
    -r DIRECTORY       where in it to run
    -o "{...}"         outputs: what the command calls them -> what the pilot looks for
    --secretsAs FORMS  how the command finds its secrets: json,env,files
    --leakedOutputs A  what is done with outputs that hold secrets: warn, hold or fail
    -p COMMAND         for sh, percent-encoded

The pilot wrote the job's secrets to panda_secrets.json. They go to the directory that the command runs in and into its
environment, are masked in what it prints, and are gone when this ends, before the pilot packs the job's log.

Python 3.6 or newer and its standard library; the exit status is the command's, or one of those below.
"""

import ast
import base64
import bz2
import gzip
import json
import lzma
import os
import re
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib

from transformation_masker import Masker, copy_masked

WRONG_USAGE, NO_SANDBOX, BAD_SANDBOX, NO_OUTPUT, BAD_SECRETS = 64, 69, 65, 74, 78

SECRETS_FILE = 'panda_secrets.json'
FILE_MARK = '___file___:'
SECRET_FORMS = ('json', 'env', 'files')
OWN_DIRECTORY = 'panda_secrets_job'
# Also what the pilot of this software keeps for itself.
TAKEN_FILE_NAMES = ('', '.', '..', SECRETS_FILE, '.panda_secrets')

LEAKED_OUTPUTS = ('warn', 'hold', 'fail')
SEARCH_SECONDS = 60
SEARCH_BYTES = 64 * 1024

MAX_UNPACKED_BYTES = 8 * 1024 ** 3
MAX_UNPACKED_FILES = 200000
# Nothing else proves that what comes is the sandbox, and not a program that somebody put beside the secrets.
TRUSTWORTHY = re.compile(r'https://|http://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?/*\Z')
DOWNLOAD_TRIES = 4
DOWNLOAD_SECONDS = 120
GRACE_SECONDS = 5
# For output that is there when a command has ended: masking it may take long on a busy node.
DRAIN_SECONDS = 60
# What pilots, batch systems and terminals stop a job with.
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)

# Linux holds no more in one variable, and all of them share the space of the arguments, which is a quarter of the stack.
MAX_VARIABLE_BYTES = 128 * 1024
MAX_VARIABLES_BYTES = 1024 * 1024
SHARE_OF_STACK = 8
ENVIRONMENT_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*\Z')
# A secret of such a name would break the job.
JOB_BREAKING = re.compile(
    r'(PATH|HOME|PWD|OLDPWD|SHELL|USER|LOGNAME|TMPDIR|TMP|TEMP|IFS|ENV|BASH(_.*|OPTS|PID)?|SHELLOPTS|SHLVL'
    r'|PS[124]|PPID|OPTIND|LINENO|RANDOM|SECONDS|PROMPT_COMMAND|TERM'
    r'|TZ|LANG|LC_.*|LD_.*|DYLD_.*|PYTHON(PATH|HOME|STARTUP)|NODE_OPTIONS|PERL5?(LIB|OPT)|RUBY(LIB|OPT)|JAVA_TOOL_OPTIONS'
    r'|_JAVA_OPTIONS|TAR_OPTIONS|SLURM_.*|PANDA_.*|PANDAID|PanDA_.*|_)\Z'
)
# What leads to the pilot's own token is not for the command.
PILOTS_OWN = re.compile(r'(OIDC_|PANDA_AUTH|BEARER_TOKEN)')


class Failure(Exception):
    """Why the job cannot go on, for its owner; never with a secret in it."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def main(arguments):
    on_signals(stop)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pilots_directory = os.path.realpath(os.getcwd())
    own_directory = os.path.join(pilots_directory, OWN_DIRECTORY)
    try:
        try:
            return run_job(arguments, pilots_directory, own_directory)
        finally:
            on_signals(signal.SIG_IGN)
    finally:
        for path in os.path.join(pilots_directory, SECRETS_FILE), own_directory:
            remove(path)


def on_signals(handler):
    for number in STOPPING_SIGNALS:
        signal.signal(number, handler)


def stop(number, _frame):
    # Another one would end what this one begins.
    on_signals(signal.SIG_IGN)
    sys.exit(128 + number)


def run_job(arguments, pilots_directory, own_directory):
    try:
        options = parse(arguments)
        os.mkdir(own_directory, 0o700)
        if options['-a']:
            unpack(fetch(options['--sourceURL'], options['-a']), own_directory)
        directory = inside(own_directory, options['-r'])
        forms = options['--secretsAs']
        secrets = take_secrets(pilots_directory, directory, forms)
        masker = Masker(masked_texts(secrets))
        status = run(options['-p'], directory, environment_with(secrets, forms), masker)
        if status == 0:
            bring(options['-o'], directory, pilots_directory, masker if secrets else None, options['--leakedOutputs'])
        return status
    except Failure as failure:
        print('panda-secrets: %s' % failure, file=sys.stderr)
        return failure.status


def parse(arguments):
    options = {'-j': '', '--sourceURL': '', '-a': '', '-r': '.', '-o': '{}', '-p': '',
               '--secretsAs': ','.join(SECRET_FORMS), '--leakedOutputs': 'warn'}
    words = list(arguments)
    while words:
        name, joined, value = words.pop(0).partition('=')
        if name not in options:
            raise Failure(WRONG_USAGE, 'the option "%s" is not offered here' % name)
        if not joined:
            if not words:
                raise Failure(WRONG_USAGE, '%s needs a value' % name)
            value = words.pop(0)
        options[name] = value
    options['--secretsAs'] = options['--secretsAs'].split(',')
    if not set(options['--secretsAs']) <= set(SECRET_FORMS):
        raise Failure(WRONG_USAGE, '--secretsAs must be one or more of %s' % ', '.join(SECRET_FORMS))
    if options['--leakedOutputs'] not in LEAKED_OUTPUTS:
        raise Failure(WRONG_USAGE, '--leakedOutputs must be one of %s' % ', '.join(LEAKED_OUTPUTS))
    options['-p'] = urllib.parse.unquote(options['-p'])
    if not options['-p'].strip():
        raise Failure(WRONG_USAGE, '-p with the command is missing')
    try:
        options['-o'] = {str(name): str(target) for name, target in ast.literal_eval(options['-o']).items()}
    except (ValueError, SyntaxError, AttributeError):
        raise Failure(WRONG_USAGE, '-o must be like "{\'out.txt\': \'user.me.out.txt\'}"')
    return options


# --- the sandbox


def fetch(server, name):
    """Answers the archive as an open file that has no name."""
    if not TRUSTWORTHY.match(server):
        raise Failure(WRONG_USAGE, '--sourceURL must be an https address: over plain http others can change the sandbox')
    url = '%s/cache/%s' % (server.rstrip('/'), urllib.parse.quote(name, safe=''))
    for attempt in range(1, DOWNLOAD_TRIES + 1):
        try:
            return download(url)
        except (OSError, urllib.error.URLError) as error:
            answered = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if answered or attempt == DOWNLOAD_TRIES:
                raise Failure(NO_SANDBOX, 'the sandbox cannot be fetched from %s: %s' % (url, error))
            time.sleep(2 ** attempt)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """One may lead to plain http."""

    def redirect_request(self, *_arguments):
        return None


def download(url):
    context = ssl.create_default_context()
    if os.path.isdir(os.environ.get('X509_CERT_DIR', '')):
        context.load_verify_locations(capath=os.environ['X509_CERT_DIR'])
    opener = urllib.request.build_opener(NoRedirects, urllib.request.HTTPSHandler(context=context))
    archive = tempfile.TemporaryFile()
    with opener.open(url, timeout=DOWNLOAD_SECONDS) as answer:
        if answer.headers.get_content_type() == 'application/json':
            refusal = json.loads(answer.read().decode('utf-8')).get('message')
            raise Failure(NO_SANDBOX, 'the server refuses the sandbox: %s' % refusal)
        shutil.copyfileobj(answer, archive)
    archive.seek(0)
    return archive


def unpack(archive, directory):
    """A sandbox comes from a user: what would be written outside `directory` is refused, with the whole of it."""
    try:
        with archive, tarfile.open(fileobj=archive, mode='r:gz') as tar:
            members = []
            links = set()
            size = 0
            for member in tar:
                check_member(member, links)
                size += member.size
                members.append(member)
                if size > MAX_UNPACKED_BYTES or len(members) > MAX_UNPACKED_FILES:
                    raise Failure(BAD_SANDBOX, 'the sandbox is too large unpacked')
            for member in members:
                member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), '', ''
                member.mode = (member.mode & 0o777) | (0o700 if member.isdir() else 0o600)
                if hasattr(tarfile, 'data_filter'):
                    tar.extract(member, directory, filter='data')
                else:
                    tar.extract(member, directory)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Failure(BAD_SANDBOX, 'the sandbox cannot be unpacked: %s' % error)


def check_member(member, links):
    """@param links: the names of the links so far; nothing may be written to or through one of them"""
    parts = [part for part in member.name.split('/') if part not in ('', '.')]
    outside = member.name.startswith('/') or '..' in parts
    outside |= any('/'.join(parts[:depth]) in links for depth in range(1, len(parts) + 1))
    if member.issym():
        # A target may climb at its beginning alone and not out: of such links none leads out, even through another.
        target = [part for part in member.linkname.split('/') if part not in ('', '.')]
        climb = target.count('..')
        outside |= member.linkname.startswith('/') or climb >= len(parts) or target[:climb] != ['..'] * climb
    elif member.islnk():
        outside |= member.linkname.startswith('/') or '..' in member.linkname.split('/')
    elif not (member.isreg() or member.isdir()):
        raise Failure(BAD_SANDBOX, 'the sandbox has "%s", which is no file, directory or link' % member.name)
    if member.issym() or member.islnk():
        links.add('/'.join(parts))
    if outside:
        raise Failure(BAD_SANDBOX, 'the sandbox has "%s", which leads out of the working directory' % member.name)


def inside(directory, path):
    found = os.path.realpath(os.path.join(directory, path))
    if not (found + os.sep).startswith(directory + os.sep):
        raise Failure(WRONG_USAGE, 'the directory to run in (-r) is outside the sandbox')
    if not os.path.isdir(found):
        raise Failure(WRONG_USAGE, 'the sandbox has no directory "%s"' % path)
    return found


# --- the secrets


def take_secrets(pilots_directory, directory, forms):
    """Moves the secrets to where the command runs, in those forms. @returns name on the wire -> value"""
    delivered = os.path.join(pilots_directory, SECRETS_FILE)
    if not os.path.exists(delivered):
        return {}
    os.chmod(delivered, 0o600)
    try:
        with open(delivered, encoding='utf-8') as file:
            secrets = json.load(file)
        if not all(isinstance(value, str) for value in secrets.values()):
            raise ValueError
    except (ValueError, AttributeError):
        raise Failure(BAD_SECRETS, 'what the pilot wrote to %s is not an object of strings' % SECRETS_FILE)
    if 'json' in forms:
        # One that a user tried the job with at home gives way.
        placed = os.path.join(directory, SECRETS_FILE)
        remove(placed)
        os.rename(delivered, placed)
    else:
        os.unlink(delivered)
    files = {name[len(FILE_MARK):]: value for name, value in secrets.items() if name.startswith(FILE_MARK)}
    if 'files' in forms:
        replaced = [name for name in files if os.path.lexists(os.path.join(directory, name))]
        left_out = [name for name, value in files.items() if not write_file(directory, name, value)]
        note([name for name in replaced if name not in left_out], 'of the sandbox gave way to the secret of that name')
        note(left_out, 'not written as a file, as the name is no plain file name or kept for the secrets, or the value is '
                       'not base64: ' + instead(forms))
    if 'json' not in forms:
        kinds = {name: 'files' if name.startswith(FILE_MARK) else 'env' for name in secrets}
        note([name.replace(FILE_MARK, '', 1) for name, kind in kinds.items() if kind not in forms],
             'not given in any form that the job asked for: ' + instead(forms))
    return secrets


def instead(forms):
    return ('read ' if 'json' in forms else 'use --secretsAs with json, for ') + SECRETS_FILE


def note(names, what):
    if names:
        print('panda-secrets: %s: %s' % (', '.join(names).encode('ascii', 'backslashreplace').decode(), what), file=sys.stderr)


def write_file(directory, name, value):
    """Something of the sandbox's that has the name gives way."""
    if name in TAKEN_FILE_NAMES or re.search(r'[/\\\0]', name):
        return False
    path = os.path.join(directory, name)
    try:
        content = decoded(value)
        remove(path)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (ValueError, OSError):
        return False
    with os.fdopen(file, 'wb') as target:
        target.write(content)
    return True


def decoded(value):
    """The bytes of a file. Raises ValueError when the value is not base64; line breaks are allowed."""
    return base64.b64decode(value.replace('\r', '').replace('\n', ''), validate=True)


def environment_with(secrets, forms):
    """The variables are set as they are: no shell ever reads them."""
    environment = {name: value for name, value in os.environ.items() if not PILOTS_OWN.match(name)}
    stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
    room = MAX_VARIABLES_BYTES if stack == resource.RLIM_INFINITY else min(MAX_VARIABLES_BYTES, stack // SHARE_OF_STACK)
    left_out = []
    for name, value in secrets.items() if 'env' in forms else ():
        if name.startswith(FILE_MARK):
            continue
        if not ENVIRONMENT_NAME.match(name) or JOB_BREAKING.match(name):
            # In the JSON file the owner finds it, as set_secret said.
            if 'json' not in forms:
                left_out.append(name)
            continue
        size = len(name) + len(value.encode('utf-8', 'surrogatepass')) + 2
        if '\0' in value or size > min(MAX_VARIABLE_BYTES, room):
            left_out.append(name)
            continue
        room -= size
        environment[name] = value
    note(left_out, 'not given as an environment variable, having no name for one, no room there or a NUL: ' + instead(forms))
    return environment


def remove(path):
    """Also directories that a job closed, or nested deeper than Python follows."""
    if os.path.isdir(path) and not os.path.islink(path):
        for command in ['chmod', '-R', 'u+rwx'], ['rm', '-rf']:
            subprocess.call(command + [path], stderr=subprocess.DEVNULL)
    elif os.path.lexists(path):
        os.unlink(path)


# --- the command


class Source:
    """What a command prints. A process that it left behind and nothing ended may keep it open, and print nothing."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.waits_since = None

    def read1(self, size):
        self.waits_since = time.monotonic()
        chunk = self.pipe.read1(size)
        self.waits_since = None
        return chunk

    def is_silent(self):
        since = self.waits_since
        return since is not None and time.monotonic() - since > GRACE_SECONDS


def run(command, directory, environment, masker):
    process = subprocess.Popen(['/bin/sh', '-c', command], cwd=directory, env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    sources = [Source(process.stdout), Source(process.stderr)]
    readers = [threading.Thread(target=copy_masked, args=(source, target.buffer, masker), daemon=True)
               for source, target in zip(sources, (sys.stdout, sys.stderr))]
    try:
        for reader in readers:
            reader.start()
        status = process.wait()
        return status if status >= 0 else 128 - status
    except SystemExit:
        end_group(process, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        raise
    finally:
        # What the command left running ends with it; otherwise its output would not end.
        end_group(process, signal.SIGKILL)
        end = time.monotonic() + DRAIN_SECONDS
        for source, reader in zip(sources, readers):
            # One that was told to stop at once may not have begun to read.
            while reader.is_alive() and not source.is_silent() and time.monotonic() < end:
                reader.join(0.1)


def end_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def masked_texts(secrets):
    """The values, and what files hold where it is text."""
    for name, value in secrets.items():
        yield value
        if name.startswith(FILE_MARK):
            try:
                yield decoded(value).decode('utf-8')
            except ValueError:
                pass


# --- the outputs


def bring(outputs, directory, target, masker, action):
    """Looks for secrets in the outputs, and moves the outputs to where the pilot looks for them. What stands in the place of one may be a link to anywhere."""
    deadline = time.monotonic() + SEARCH_SECONDS
    ready = []
    for name, kept_as in outputs.items():
        found = os.path.realpath(os.path.join(directory, name))
        if not found.startswith(os.path.realpath(directory) + os.sep) or not os.path.isfile(found):
            raise Failure(NO_OUTPUT, 'the output "%s" was not made' % name)
        if os.path.basename(kept_as) != kept_as or kept_as in ('', '.', '..'):
            raise Failure(WRONG_USAGE, '-o: "%s" is not a file name' % kept_as)
        problem = leak(found, masker, deadline) if masker else None
        if problem:
            message = 'the output "%s" %s' % (name, problem)
            if action == 'fail':
                raise Failure(NO_OUTPUT, message)
            print('panda-secrets: %s%s' % (message, ' and is held back' if action == 'hold' else ''), file=sys.stderr)
        if not problem or action == 'warn':
            ready.append((found, os.path.join(target, kept_as)))
    for found, kept in ready:
        os.rename(found, kept)


def leak(path, masker, deadline):
    """What is wrong with an output, if anything: looks at the file as it is, and unpacked where it is gzip, bzip2, xz or zip."""
    for stream in readings(path):
        before = b''
        try:
            for piece in iter(lambda: stream.read(SEARCH_BYTES), b''):
                if masker.runs(before + piece):
                    return 'holds a value of a secret'
                if time.monotonic() > deadline:
                    return 'is too large to be searched for secrets'
                before = (before + piece)[-masker.longest:]
        except (OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
            pass  # broken, or encrypted: what came before was searched
        finally:
            stream.close()
    return None


def readings(path):
    yield open(path, 'rb')
    with open(path, 'rb') as file:
        head = file.read(6)
    for magic, opener in (b'\x1f\x8b\x08', gzip.open), (b'BZh', bz2.open), (b'\xfd7zXZ\0', lzma.open):
        if head.startswith(magic):
            yield opener(path, 'rb')
    if head.startswith(b'PK\3\4') and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                try:
                    yield archive.open(member)
                except (RuntimeError, NotImplementedError, zipfile.BadZipFile):
                    pass  # encrypted, or packed in another way


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
