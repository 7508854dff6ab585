#!/bin/sh
# A canary over two gateways that share one registry: it does harm, and is rolled back on both.
#
#   docker compose up --build --exit-code-from tour     # in containers: compose.yaml
#   PROMPTOPS_REGISTRY=postgresql://… sh tour.sh        # in processes of this machine
#
# Each of two hosts has a clone of the prompts and a gateway; the log of both is one database.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}
: "${PROMPTOPS_REGISTRY:?the URL of an empty database}"
: "${PORT_PROVIDER:=8099}" "${PORT_A:=4456}" "${PORT_B:=4457}"
export OPENAI_API_KEY=none OPENAI_BASE_URL="${OPENAI_BASE_URL:-http://127.0.0.1:$PORT_PROVIDER/v1}"
export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org

say() { printf '\n== %s\n' "$*"; }
on() { host=$1 && shift && (cd "$work/$host" && "$@"); }

prompt() {
  cat <<PROMPT
model: openai/gpt-5.4-mini-2026-03-17
inputs: {name: string}
messages: [{role: user, content: "$1 {{ name }}."}]
checks: [{max_words: 30}]
PROMPT
}

say "two versions of a prompt, v1 serves, v2 is the canary"
mkdir "$work/main" && git init -q --bare -b main "$work/origin.git"
cd "$work/main" && git init -q -b main && git remote add origin "$work/origin.git"
mkdir prompts && echo "plans: {quick: {unit: session}}" > promptops.yaml
prompt Greet > prompts/greet.yaml && git add -A && git commit -q -m "Greet people"
prompt Salute > prompts/greet.yaml && git commit -q -a -m "Salute people"
git push -q -u origin main && git remote set-head origin main
promptops promote greet@HEAD~1 --yes
promptops canary greet@HEAD --plan quick --yes

say "two hosts"
for host in a b; do
  git clone -q "$work/origin.git" "$work/$host"
  on "$host" promptops release sync
done
key=$(promptops keys new tour)
touch "$work/ready" # gateways in containers wait for it

if [ -z "${GATEWAYS:-}" ]; then
  trap 'kill $started 2> /dev/null || true' EXIT
  python "$here/provider.py" 127.0.0.1 "$PORT_PROVIDER" & started=$!
  serve() { cd "$work/$1" && exec promptops serve --port "$2" --retries 0 --sync-every 1; }
  serve a "$PORT_A" & started="$started $!"
  serve b "$PORT_B" & started="$started $!"
  GATEWAYS="http://127.0.0.1:$PORT_A http://127.0.0.1:$PORT_B"
fi
# shellcheck disable=SC2086 # two words
calls() { python "$here/calls.py" "$key" "$1" $GATEWAYS; }

say "120 callers, each over both gateways; the provider fails what salutes"
calls 120

say "host b looks at the evidence of both"
on b promptops tick greet:production && exit 1 # 1: rolled back

say "either host can verify what was done, and serves v1 again"
for host in a b; do
  on "$host" promptops release sync
  on "$host" promptops release verify
done
sleep 3 # --sync-every
calls 20 | tee "$work/after"
if grep -qv " v1 released 200$" "$work/after"; then exit 1; fi
