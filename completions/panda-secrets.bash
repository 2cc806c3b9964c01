# Completion of panda-secrets for bash; made from the code by "npm run manual".
_panda_secrets() {
  local current=${COMP_WORDS[COMP_CWORD]} at=panda-secrets word index words=
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case "$at $word" in
      'panda-secrets serve' | 'panda-secrets user' | 'panda-secrets user add' | 'panda-secrets user password' | 'panda-secrets user role' | 'panda-secrets user list' | 'panda-secrets user disable' | 'panda-secrets user enable' | 'panda-secrets user logout' | 'panda-secrets user remove' | 'panda-secrets user erase' | 'panda-secrets user help' | 'panda-secrets token' | 'panda-secrets pilot-token' | 'panda-secrets pilot' | 'panda-secrets pilot list' | 'panda-secrets pilot end' | 'panda-secrets pilot help' | 'panda-secrets queue' | 'panda-secrets queue add' | 'panda-secrets queue set' | 'panda-secrets queue pause' | 'panda-secrets queue drain' | 'panda-secrets queue resume' | 'panda-secrets queue remove' | 'panda-secrets queue site-key' | 'panda-secrets queue list' | 'panda-secrets queue load' | 'panda-secrets queue help' | 'panda-secrets launcher' | 'panda-secrets launcher add' | 'panda-secrets launcher renew' | 'panda-secrets launcher list' | 'panda-secrets launcher remove' | 'panda-secrets launcher help' | 'panda-secrets signing-key' | 'panda-secrets signing-key rotate' | 'panda-secrets signing-key help' | 'panda-secrets keys' | 'panda-secrets keys list' | 'panda-secrets keys add' | 'panda-secrets keys activate' | 'panda-secrets keys rewrap' | 'panda-secrets keys rotate-owner' | 'panda-secrets keys retire' | 'panda-secrets keys help' | 'panda-secrets audit' | 'panda-secrets audit verify' | 'panda-secrets audit heads' | 'panda-secrets audit tail' | 'panda-secrets audit export' | 'panda-secrets audit help' | 'panda-secrets backup' | 'panda-secrets backup verify' | 'panda-secrets restore' | 'panda-secrets migrate-store' | 'panda-secrets migrate-blobs' | 'panda-secrets doctor' | 'panda-secrets help') at="$at $word" ;;
    esac
  done
  case "$at ${COMP_WORDS[COMP_CWORD - 1]}" in
    'panda-secrets serve --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --port')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --host')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --workers')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --tls-cert')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --tls-key')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --trusted-proxy')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --public-url')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --vo')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --site-name')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --log-level')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --log-file')
      COMPREPLY=()
      return
      ;;
    'panda-secrets serve --metrics-listen')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --display-name')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user add --public-url')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user password --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user password --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user password --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user password --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user password --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user password --public-url')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user role --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user role --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user role --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user role --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user list --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user list --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user list --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user list --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user list --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user disable --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user disable --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user disable --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user disable --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user disable --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user enable --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user enable --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user enable --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user enable --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user enable --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user logout --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user logout --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user logout --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user logout --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user logout --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user remove --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user remove --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user remove --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user remove --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user erase --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user erase --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user erase --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets user erase --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets token --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets token --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets token --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets token --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets token --ttl')
      COMPREPLY=()
      return
      ;;
    'panda-secrets token --vo')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --queue')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --ttl')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot-token --vo')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot list --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot list --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot list --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot list --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot list --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot end --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot end --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot end --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot end --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets pilot end --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue add --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue add --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue add --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue add --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue add --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue set --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue set --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue set --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue set --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue set --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue pause --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue pause --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue pause --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue pause --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue pause --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue drain --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue drain --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue drain --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue drain --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue drain --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue resume --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue resume --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue resume --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue resume --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue resume --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue remove --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue remove --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue remove --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue remove --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue remove --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue site-key --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue site-key --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue site-key --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue site-key --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue site-key --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue list --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue list --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue list --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue list --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue list --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue load --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue load --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue load --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue load --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets queue load --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --queue')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher add --ttl')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher renew --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher renew --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher renew --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher renew --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher renew --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher renew --ttl')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher list --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher list --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher list --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher list --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher list --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher remove --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher remove --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher remove --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher remove --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets launcher remove --server')
      COMPREPLY=()
      return
      ;;
    'panda-secrets signing-key rotate --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets signing-key rotate --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets signing-key rotate --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets signing-key rotate --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys list --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys list --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys list --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys list --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys add --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys add --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys add --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys add --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys activate --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys activate --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys activate --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys activate --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rewrap --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rewrap --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rewrap --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rewrap --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rotate-owner --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rotate-owner --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rotate-owner --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rotate-owner --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys rotate-owner --before')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys retire --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys retire --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys retire --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets keys retire --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit verify --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit verify --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit verify --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit verify --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit verify --heads')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit heads --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit heads --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit heads --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit heads --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit tail --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit tail --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit tail --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit tail --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit tail -n' | 'panda-secrets audit tail --lines')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit tail --chain')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit export --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit export --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit export --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets audit export --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup --to')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup --recipient')
      COMPREPLY=()
      return
      ;;
    'panda-secrets backup verify --identity')
      COMPREPLY=()
      return
      ;;
    'panda-secrets restore --identity')
      COMPREPLY=()
      return
      ;;
    'panda-secrets restore --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets restore --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-store --from')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-store --to')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-store --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-store --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-blobs --from')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-blobs --to')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-blobs --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-blobs --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets migrate-blobs --config')
      COMPREPLY=()
      return
      ;;
    'panda-secrets doctor --data')
      COMPREPLY=()
      return
      ;;
    'panda-secrets doctor --database')
      COMPREPLY=()
      return
      ;;
    'panda-secrets doctor --blobs')
      COMPREPLY=()
      return
      ;;
    'panda-secrets doctor --config')
      COMPREPLY=()
      return
      ;;
  esac
  case $at in
    'panda-secrets')
      if [[ $current == -* ]]; then
        words='--version -h --help'
      else
        words='serve user token pilot-token pilot queue launcher signing-key keys audit backup restore migrate-store migrate-blobs doctor help'
      fi
      ;;
    'panda-secrets serve')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --port --host --workers --tls-cert --tls-key --trusted-proxy --public-url --vo --site-name --log-level --log-file --metrics-listen -h --help'
      fi
      ;;
    'panda-secrets user')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='add password role list disable enable logout remove erase help'
      fi
      ;;
    'panda-secrets user add')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --display-name --operator --password-stdin --public-url -h --help'
      fi
      ;;
    'panda-secrets user password')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --password-stdin --public-url --link -h --help'
      fi
      ;;
    'panda-secrets user role')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets user list')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --all -h --help'
      fi
      ;;
    'panda-secrets user disable')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets user enable')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets user logout')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets user remove')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets user erase')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --yes -h --help'
      fi
      ;;
    'panda-secrets user help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets token')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --ttl --vo -h --help'
      fi
      ;;
    'panda-secrets pilot-token')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --queue --ttl --bearer --vo -h --help'
      fi
      ;;
    'panda-secrets pilot')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='list end help'
      fi
      ;;
    'panda-secrets pilot list')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets pilot end')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets pilot help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets queue')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='add set pause drain resume remove site-key list load help'
      fi
      ;;
    'panda-secrets queue add')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --allow-tls-secrets -h --help'
      fi
      ;;
    'panda-secrets queue set')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --allow-tls-secrets --no-allow-tls-secrets -h --help'
      fi
      ;;
    'panda-secrets queue pause')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue drain')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue resume')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue remove')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue site-key')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue list')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue load')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets queue help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets launcher')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='add renew list remove help'
      fi
      ;;
    'panda-secrets launcher add')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --queue --ttl -h --help'
      fi
      ;;
    'panda-secrets launcher renew')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server --ttl -h --help'
      fi
      ;;
    'panda-secrets launcher list')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets launcher remove')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --server -h --help'
      fi
      ;;
    'panda-secrets launcher help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets signing-key')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='rotate help'
      fi
      ;;
    'panda-secrets signing-key rotate')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --forget-older -h --help'
      fi
      ;;
    'panda-secrets signing-key help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets keys')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='list add activate rewrap rotate-owner retire help'
      fi
      ;;
    'panda-secrets keys list')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets keys add')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets keys activate')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets keys rewrap')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets keys rotate-owner')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --all --before -h --help'
      fi
      ;;
    'panda-secrets keys retire')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -h --help'
      fi
      ;;
    'panda-secrets keys help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets audit')
      if [[ $current == -* ]]; then
        words='-h --help'
      else
        words='verify heads tail export help'
      fi
      ;;
    'panda-secrets audit verify')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --heads -h --help'
      fi
      ;;
    'panda-secrets audit heads')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config -h --help'
      fi
      ;;
    'panda-secrets audit tail')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json -n --lines --chain -h --help'
      fi
      ;;
    'panda-secrets audit export')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config -h --help'
      fi
      ;;
    'panda-secrets audit help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
    'panda-secrets backup')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --to --recipient --with-keys -h --help'
      else
        words='verify'
      fi
      ;;
    'panda-secrets backup verify')
      if [[ $current == -* ]]; then
        words='--identity --json -h --help'
      fi
      ;;
    'panda-secrets restore')
      if [[ $current == -* ]]; then
        words='--identity --data --config --json -h --help'
      fi
      ;;
    'panda-secrets migrate-store')
      if [[ $current == -* ]]; then
        words='--from --to --data --config --json -h --help'
      fi
      ;;
    'panda-secrets migrate-blobs')
      if [[ $current == -* ]]; then
        words='--from --to --data --database --config --json -h --help'
      fi
      ;;
    'panda-secrets doctor')
      if [[ $current == -* ]]; then
        words='--data --database --blobs --config --json --fix -h --help'
      fi
      ;;
    'panda-secrets help')
      if [[ $current == -* ]]; then
        words=''
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _panda_secrets panda-secrets
