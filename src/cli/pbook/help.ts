// Texts that stand under the options in the help of a command.
import { ATTRIBUTE_NAMES, ATTRIBUTES } from '../../protocol/secret-attributes.ts';
import type { Note } from '../help-notes.ts';

/** `[--queues Q1,Q2]` for each attribute that a secret may carry. */
export function attributeUsage(): string {
  return ATTRIBUTE_NAMES.map((name) => `[--${name} ${ATTRIBUTES[name].example}]`).join(' ');
}

export const SET_SECRET_NOTES: readonly Note[] = [
  'VALUE is taken as it stands: a=b, 1,2, 123, None, -5. One that begins like an option (--word) needs -- in front: ' +
    'pbook set_secret KEY -- --word',
  {
    title: 'Ways to give the value of KEY:',
    items: [
      [
        'KEY VALUE',
        "on the command line, which other users of this machine can see for a moment, and which your shell's history keeps",
      ],
      ['KEY', 'asked for at the terminal, not shown'],
      ['KEY - < FILE', 'from standard input, byte for byte, a line end at its end included; it has to be UTF-8'],
      ['KEY --file PATH', 'a file of any bytes, at most 768,000'],
      ['KEY PATH is_file=True', 'the same, as PanDA users know it'],
    ],
  },
  ...ATTRIBUTE_NAMES.map((name): Note => {
    const { heading, example, help } = ATTRIBUTES[name];
    return { title: `${heading}:`, items: [[`--${name} ${example}`, help]] };
  }),
  'A value has at most 1000 kB (1,024,000 bytes), a name 255 bytes without "=".',
];

export const RUN_NOTES: readonly Note[] = [
  '  pbook run -- python3 my_job.py\n  pbook run --secrets DB_PASSWORD --secretsAs env -- ./my_job 1',
  'The files are in memory, and panda_secrets.json and the others in this folder are links to them. They go when COMMAND ends, and so ' +
    'do processes that it leaves behind, except one that left its session with an emptied environment. Its output goes through a pipe, as in a job, and not to the terminal itself.',
  'Exit status: that of COMMAND, or the signal that ended it; 125 when it was not started, 127 when it is not there, 126 when it cannot be ' +
    'executed, 2 after a wrong option. In a script for sbatch --signal=B:USR1@40 write exec pbook run, so that the signal reaches it.',
];

export const COMPLETION_NOTES: readonly Note[] = [
  {
    title: 'Put this into the file that your shell reads when it starts:',
    items: [
      ['~/.bashrc', 'source <(pbook completion bash)'],
      ['~/.zshrc, behind compinit', 'source <(pbook completion zsh)'],
      ['~/.config/fish/config.fish', 'pbook completion fish | source'],
    ],
  },
];

export const PBOOK_NOTES: readonly Note[] = [
  {
    title: 'Without a command, pbook is your own Python (3.8 or newer) with these commands as functions:',
    items: [
      [
        'pbook',
        'its prompt; help() tells about the functions, exit() or Ctrl-D leaves. The history is kept in ' +
          '$PANDA_CONFIG_ROOT/.pbook_history, without the lines that set a secret unless PBOOK_HISTORY=all',
      ],
      ['pbook SCRIPT.py ARGS', 'runs a script'],
      ['pbook -c CODE ARGS', 'runs CODE'],
      ['pbook < SCRIPT', 'runs standard input'],
      ['pbook --python PATH', 'takes this Python; otherwise that of an active venv, or python3'],
      ['pbook python-path', 'prints the folder that any Python, or Jupyter, can import pbook from'],
    ],
  },
  {
    title: 'Environment:',
    items: [
      [
        'PANDA_URL_SSL',
        'the server, such as https://panda.example.org:25443/server/panda; http://127.0.0.1:25080 when it is not set',
      ],
      ['PANDA_AUTH_ID_TOKEN', 'your token, in place of a login; or OIDC_AUTH_TOKEN_FILE, a file that has it'],
      ['PANDA_CONFIG_ROOT', 'the folder of your login; ~/.pathena when it is not set'],
      ['PANDA_AUTH_VO', 'your VO, "panda" when it is not set'],
      ['PBOOK_LIST', '"names": list_secrets shows no values unless it is asked for them'],
      ['X509_CERT_DIR, SSL_CERT_FILE', 'certificates to trust as well'],
      ['HTTPS_PROXY, ALL_PROXY, NO_PROXY', 'the proxy for https, and the hosts that are reached without it'],
      ['COLUMNS', 'the width of help and tables where they do not go to a terminal; 80 when it is not set'],
      ['NO_COLOR', 'no colours'],
    ],
  },
  'Exit status: 0 done, 1 refused or failed, 2 wrong usage.',
];
