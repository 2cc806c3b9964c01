# Completion of prun for bash; made from the code by "npm run manual".
_prun() {
  local current=${COMP_WORDS[COMP_CWORD]} at=prun word index words=
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case "$at $word" in
      '') at="$at $word" ;;
    esac
  done
  case "$at ${COMP_WORDS[COMP_CWORD - 1]}" in
    'prun --exec')
      COMPREPLY=()
      return
      ;;
    'prun --outDS')
      COMPREPLY=()
      return
      ;;
    'prun --outputs')
      COMPREPLY=()
      return
      ;;
    'prun --nJobs')
      COMPREPLY=()
      return
      ;;
    'prun --secretsAs')
      COMPREPLY=()
      return
      ;;
    'prun --leakedOutputs')
      COMPREPLY=($(compgen -W 'warn hold fail' -- "$current"))
      return
      ;;
    'prun --site')
      COMPREPLY=()
      return
      ;;
    'prun --maxAttempt')
      COMPREPLY=()
      return
      ;;
    'prun --maxWalltime')
      COMPREPLY=()
      return
      ;;
    'prun --memory')
      COMPREPLY=()
      return
      ;;
    'prun --excludeFile')
      COMPREPLY=()
      return
      ;;
    'prun --includeFile')
      COMPREPLY=()
      return
      ;;
    'prun --vo')
      COMPREPLY=()
      return
      ;;
    'prun --timeout')
      COMPREPLY=()
      return
      ;;
  esac
  case $at in
    'prun')
      if [[ $current == -* ]]; then
        words='--version --exec --outDS --outputs --nJobs --useSecrets --secretsAs --leakedOutputs --sealResults --site --maxAttempt --maxWalltime --memory --excludeFile --includeFile --noBuild --vo --allowSecretInCommand --yes --wait --timeout --json -h --help'
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _prun prun
