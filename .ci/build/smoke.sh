#!/usr/bin/env bash
# Sends requests to each revision in the file candidates, at its tag's URL, and fails where one is answered
# wrongly.
set -euo pipefail
here=${BASH_SOURCE%/*}
body=$(mktemp)
nonce=smoke-$RANDOM$RANDOM
mapfile -t services < <(cut -d' ' -f1 candidates)
trap '(($? == 0)) || bash "$here/untag.sh" "b${BUILD%%-*}" "${services[@]}"' EXIT

# expect METHOD PATH PATTERN [HEADER]: HTTP 200, JSON, and a body that matches. A new URL may take a while
# to be known everywhere, so a wrong answer counts only when it comes again and again.
expect() {
  local method=$1 path=$2 pattern=$3 header=${4:-Accept: application/json} data=() seen try
  # Google's front end refuses a GET that has a body.
  if [[ $method == POST ]]; then data=(--data '[{"type":"ip","value":"192.0.2.1"}]'); fi
  for ((try = 1; ; try++)); do
    seen=$(curl --silent --show-error --max-time 30 --output "$body" \
      --write-out '%{http_code} %{content_type}' --request "$method" \
      --header "$header" --header 'Content-Type: application/json' \
      "${data[@]}" "$url$path") || seen="no answer"
    if [[ $seen == '200 application/json'* ]] && tr -d '\n' <"$body" | grep -Eq "$pattern"; then
      echo "ok: $service $method $path"
      return
    fi
    ((try < ${SMOKE_TRIES:-10})) || break
    sleep "${SMOKE_PAUSE:-3}"
  done
  echo "FAILED: $service $method $path: $seen: $(head -c 300 "$body")" >&2
  return 1
}

version='^\{ *"version": *"[0-9]+\.[0-9]+\.[0-9]+[^"]*" *\}$'
echoed='^\{ *"data": *"'$nonce'" *\}$'
# The relay's own refusal, as HTTP 200. Google's 401 or 403 here would mean that IAM guards the service.
code='"code": *"authorization error"' message='"message": *"Authorization failed: [^"]+'
refused="^\{ *\"errors\": *\[ *\{[^}]*(${code}[^}]*$message|$message\"[^}]*$code)"
# Shaped as XDR sends it: a bearer token that Google did not sign must reach the relay.
token='Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c21va2U'

tested=0
while read -r service target _ url; do
  case $target in
    relay)
      expect POST /version "$version"
      expect GET /watchdog "$echoed" "Health-Check: $nonce"
      expect POST /observe/observables "$refused"
      expect POST /observe/observables "$refused" "$token"
      ;;
    version) expect POST / "$version" ;;
    watchdog) expect GET / "$echoed" "Health-Check: $nonce" ;;
    *) expect POST / "$refused" "$token" ;; # every other function verifies a token that it is sent
  esac
  tested=$((tested + 1))
done <candidates
((tested > 0)) || {
  echo "nothing was deployed" >&2
  exit 1
}
