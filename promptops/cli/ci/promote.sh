#!/bin/sh
# Brings a version live by proof: starts its canary, then ticks until it is promoted, rolled back or stopped.
#
#   sh promote.sh NAME@REV [CHANNEL [PLAN]]
#
# Run it beside the registry that sees the traffic. It may be stopped and started again at any time: what is
# under way stands on the branch promptops-state, and the same command goes on with it.
# EVERY is the number of seconds between two ticks (60); LIMIT how many ticks to make at most (no limit).
# Exit: 0 promoted, 1 rolled back, 3 not decided within LIMIT, 4 invalid, 5 remote unreachable.
set -u
ref=${1:?"usage: sh promote.sh NAME@REV [CHANNEL [PLAN]]"}
channel=${2:-production}
live="${ref%%@*}:$channel"

digest_of() {
  promptops show "$1" --json | sed -n 's/^  "digest": "\(sha256:[0-9a-f]*\)".*/\1/p'
}

wanted=$(digest_of "$ref")
[ -n "$wanted" ] || exit 4

promptops status "$live" --exit-code >/dev/null 2>&1
if [ $? -eq 3 ]; then
  echo "a canary is under way on $live: going on with it"
else
  promptops canary "$ref" --to "$channel" ${3:+--plan "$3"} --yes || exit
fi

ticks=0
while :; do
  promptops tick "$live"
  code=$?
  case $code in 0 | 5) ;; *) exit "$code" ;; esac # 5: the remote may be back at the next tick
  promptops status "$live" --exit-code >/dev/null
  case $? in
    0)
      [ "$(digest_of "$live")" = "$wanted" ] || exit 1
      exit 0
      ;;
    3) ;;
    *) exit 4 ;;
  esac
  ticks=$((ticks + 1))
  if [ "${LIMIT:-0}" -gt 0 ] && [ "$ticks" -ge "$LIMIT" ]; then
    exit 3
  fi
  sleep "${EVERY:-60}"
done
