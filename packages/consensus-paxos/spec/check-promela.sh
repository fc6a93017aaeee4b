#!/usr/bin/env bash
# Checks paxos.pml exhaustively with spin, then that spin finds each planted error. A few seconds; needs a C compiler.
# spin: SPIN if set, else the one on the PATH, else Debian's package, downloaded once into the user's cache folder as any user.
set -euo pipefail
model="$(cd "$(dirname "$0")" && pwd)/paxos.pml"
statesExpected=185369
plantedErrors=3

works() { "$1" -V 2>/dev/null | grep -q '^Spin Version'; }

download() {
  local cache=$1 work apt
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/download-XXXXXX")
  apt=(-q "-oDir::State=$work" "-oDir::State::lists=$work/lists" "-oDir::State::status=/var/lib/dpkg/status" "-oDir::Cache=$work"
    "-oDir::Cache::archives=$work/archives" "-oDebug::NoLocking=1" "-oAPT::Sandbox::User=$(id -un)")
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/unpacked"
  # Renamed whole, so that another process never sees half of it; the first one wins.
  (cd "$work/archives" && apt-get "${apt[@]}" update && apt-get "${apt[@]}" download spin && dpkg -x spin_*.deb "$work/unpacked") >&2 || true
  [ -x "$work/unpacked/usr/bin/spin" ] && [ ! -e "$cache/spin" ] && mv "$work/unpacked" "$cache/spin" || true
  rm -rf "$work"
}

find_spin() {
  local cache="${XDG_CACHE_HOME:-$HOME/.cache}/synod"
  local kept="$cache/spin/usr/bin/spin"
  for candidate in "${SPIN:-spin}" "$kept"; do
    if works "$candidate"; then echo "$candidate"; return; fi
    if [ -n "${SPIN:-}" ]; then echo "error: SPIN is $SPIN, which does not answer -V" >&2; return 1; fi
  done
  if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then download "$cache"; fi
  if works "$kept"; then echo "$kept"; return; fi
  echo "error: no spin here, and it could not be downloaded: apt-get install spin (Debian), or set SPIN to its path" >&2
  return 1
}

spin=$(find_spin)
compiler=${CC:-cc}
command -v "$compiler" >/dev/null || { echo "error: spin needs a C compiler: apt-get install gcc, or set CC" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The verifier's report for one planted error; 0 is none.
verify() {
  "$spin" -DPLANTED="$1" -a "$model" >/dev/null
  "$compiler" -O2 -DSAFETY -DNOREDUCE -o pan pan.c
  ./pan -m100000 -n
}

report=$(verify 0)
states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' <<<"$report")
if ! grep -q 'errors: 0$' <<<"$report" || grep -qi 'max search depth too small' <<<"$report" || [ "$states" != "$statesExpected" ]; then
  echo "$report"
  echo "error: paxos.pml has errors, or other than $statesExpected states" >&2
  exit 1
fi
echo "paxos.pml: $states states, 3 acceptors, 3 ballots, 2 values: no two values are chosen"
for ((planted = 1; planted <= plantedErrors; planted++)); do
  report=$(verify "$planted")
  if ! grep -q 'errors: 1$' <<<"$report"; then
    echo "$report"
    echo "error: planted error $planted was not found" >&2
    exit 1
  fi
  echo "paxos.pml: planted error $planted was found after $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' <<<"$report") states"
done
