# Completion of pbook for bash; made from the code by "npm run manual".
_pbook_secrets() {
  local name
  while IFS= read -r name; do
    [[ $name == "$current"* ]] && COMPREPLY+=("$(printf %q "$name")")
  done < <(pbook secret_names 2>/dev/null)
}
_pbook() {
  local current=${COMP_WORDS[COMP_CWORD]} at=pbook word index words=
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case "$at $word" in
      'pbook login' | 'pbook logout' | 'pbook whoami' | 'pbook logins' | 'pbook logins end' | 'pbook password' | 'pbook set_secret' | 'pbook list_secrets' | 'pbook get_secret' | 'pbook masking' | 'pbook delete_secret' | 'pbook delete_all_secrets' | 'pbook secret_history' | 'pbook secret_versions' | 'pbook restore_secret' | 'pbook run' | 'pbook show' | 'pbook showl' | 'pbook kill' | 'pbook finish' | 'pbook retry' | 'pbook logs' | 'pbook get_outputs' | 'pbook quota' | 'pbook keys' | 'pbook keys init' | 'pbook keys show' | 'pbook keys export' | 'pbook keys import' | 'pbook keys trust' | 'pbook keys untrust' | 'pbook keys reseal' | 'pbook keys help' | 'pbook completion' | 'pbook python-path' | 'pbook help') at="$at $word" ;;
    esac
  done
  case "$at ${COMP_WORDS[COMP_CWORD - 1]}" in
    'pbook set_secret --file')
      COMPREPLY=()
      return
      ;;
    'pbook set_secret --queues')
      COMPREPLY=()
      return
      ;;
    'pbook set_secret --mask')
      COMPREPLY=()
      return
      ;;
    'pbook set_secret --expires')
      COMPREPLY=()
      return
      ;;
    'pbook list_secrets --unused')
      COMPREPLY=()
      return
      ;;
    'pbook get_secret --output')
      COMPREPLY=()
      return
      ;;
    'pbook run --secrets')
      COMPREPLY=()
      return
      ;;
    'pbook run --secretsAs')
      COMPREPLY=()
      return
      ;;
    'pbook run --token-file')
      COMPREPLY=()
      return
      ;;
    'pbook get_outputs --dir')
      COMPREPLY=()
      return
      ;;
  esac
  case $at in
    'pbook')
      if [[ $current == -* ]]; then
        words='--version -h --help'
      else
        words='login logout whoami logins password set_secret list_secrets get_secret masking delete_secret delete_all_secrets secret_history secret_versions restore_secret run show showl kill finish retry logs get_outputs quota keys completion python-path help'
      fi
      ;;
    'pbook login')
      if [[ $current == -* ]]; then
        words='--no-browser --json -h --help'
      fi
      ;;
    'pbook logout')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook whoami')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook logins')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      else
        words='end'
      fi
      ;;
    'pbook logins end')
      if [[ $current == -* ]]; then
        words='--all --json -h --help'
      fi
      ;;
    'pbook password')
      if [[ $current == -* ]]; then
        words='--stdin --json -h --help'
      fi
      ;;
    'pbook set_secret')
      if [[ $current == -* ]]; then
        words='--file --queues --mask --expires --sealed --plain --json -h --help'
      else
        _pbook_secrets
        return
      fi
      ;;
    'pbook list_secrets')
      if [[ $current == -* ]]; then
        words='--full --names --unused --json -h --help'
      fi
      ;;
    'pbook get_secret')
      if [[ $current == -* ]]; then
        words='--output --json -h --help'
      fi
      ;;
    'pbook masking')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      else
        _pbook_secrets
        return
      fi
      ;;
    'pbook delete_secret')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      else
        _pbook_secrets
        return
      fi
      ;;
    'pbook delete_all_secrets')
      if [[ $current == -* ]]; then
        words='--yes --json -h --help'
      fi
      ;;
    'pbook secret_history')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      else
        _pbook_secrets
        return
      fi
      ;;
    'pbook secret_versions')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      else
        _pbook_secrets
        return
      fi
      ;;
    'pbook restore_secret')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      else
        _pbook_secrets
        return
      fi
      ;;
    'pbook run')
      if [[ $current == -* ]]; then
        words='--secrets --secretsAs --token-file --noLinks -h --help'
      fi
      ;;
    'pbook show')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook showl')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook kill')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook finish')
      if [[ $current == -* ]]; then
        words='--soft --json -h --help'
      fi
      ;;
    'pbook retry')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook logs')
      if [[ $current == -* ]]; then
        words='-f --follow --json -h --help'
      fi
      ;;
    'pbook get_outputs')
      if [[ $current == -* ]]; then
        words='--dir --force --json -h --help'
      fi
      ;;
    'pbook quota')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook keys')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='init show export import trust untrust reseal help'
      fi
      ;;
    'pbook keys init')
      if [[ $current == -* ]]; then
        words='--passphrase --yes --json -h --help'
      fi
      ;;
    'pbook keys show')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook keys export')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook keys import')
      if [[ $current == -* ]]; then
        words='--passphrase --json -h --help'
      fi
      ;;
    'pbook keys trust')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook keys untrust')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook keys reseal')
      if [[ $current == -* ]]; then
        words='--json -h --help'
      fi
      ;;
    'pbook keys help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'pbook completion')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='bash zsh fish'
      fi
      ;;
    'pbook python-path')
      if [[ $current == -* ]]; then
        words='-h --help'
      fi
      ;;
    'pbook help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _pbook pbook
