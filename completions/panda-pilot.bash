# Completion of panda-pilot for bash; made from the code by "npm run manual".
_panda_pilot() {
  local current=${COMP_WORDS[COMP_CWORD]} at=panda-pilot word index words=
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case "$at $word" in
      'panda-pilot clean' | 'panda-pilot launch' | 'panda-pilot site-identity' | 'panda-pilot site-identity new' | 'panda-pilot site-identity sign' | 'panda-pilot site-identity help' | 'panda-pilot site-key' | 'panda-pilot site-key new' | 'panda-pilot site-key renew' | 'panda-pilot site-key help') at="$at $word" ;;
    esac
  done
  case "$at ${COMP_WORDS[COMP_CWORD - 1]}" in
    'panda-pilot --queue')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --token-file')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --await-token')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --server')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --vo')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --jobs')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --slots')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --until')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --minutes')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --idle-exit')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --workdir')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --secrets-dir')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --pass-env')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --isolate')
      COMPREPLY=($(compgen -W 'auto on off' -- "$current"))
      return
      ;;
    'panda-pilot --share')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --site-key')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --max-walltime')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --max-memory')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --max-disk')
      COMPREPLY=()
      return
      ;;
    'panda-pilot --heartbeat')
      COMPREPLY=()
      return
      ;;
    'panda-pilot clean --workdir')
      COMPREPLY=()
      return
      ;;
    'panda-pilot clean --secrets-dir')
      COMPREPLY=()
      return
      ;;
    'panda-pilot launch --batch')
      COMPREPLY=($(compgen -W 'slurm' -- "$current"))
      return
      ;;
    'panda-pilot launch --config')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-identity new --out')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-identity sign --identity')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-key new --queue')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-key new --out')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-key new --identity')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-key renew --queue')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-key renew --out')
      COMPREPLY=()
      return
      ;;
    'panda-pilot site-key renew --identity')
      COMPREPLY=()
      return
      ;;
  esac
  case $at in
    'panda-pilot')
      if [[ $current == -* ]]; then
        words='--version --queue --token-file --await-token --server --vo --jobs --slots --until --minutes --idle-exit --workdir --secrets-dir --pass-env --isolate --share --site-key --allow-root --max-walltime --max-memory --max-disk --heartbeat -h --help'
      else
        words='clean launch site-identity site-key'
      fi
      ;;
    'panda-pilot clean')
      if [[ $current == -* ]]; then
        words='--workdir --secrets-dir -h --help'
      fi
      ;;
    'panda-pilot launch')
      if [[ $current == -* ]]; then
        words='--batch --config -h --help'
      fi
      ;;
    'panda-pilot site-identity')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='new sign help'
      fi
      ;;
    'panda-pilot site-identity new')
      if [[ $current == -* ]]; then
        words='--out -h --help'
      fi
      ;;
    'panda-pilot site-identity sign')
      if [[ $current == -* ]]; then
        words='--identity -h --help'
      fi
      ;;
    'panda-pilot site-identity help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-pilot site-key')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='new renew help'
      fi
      ;;
    'panda-pilot site-key new')
      if [[ $current == -* ]]; then
        words='--queue --out --identity -h --help'
      fi
      ;;
    'panda-pilot site-key renew')
      if [[ $current == -* ]]; then
        words='--queue --out --identity -h --help'
      fi
      ;;
    'panda-pilot site-key help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _panda_pilot panda-pilot
