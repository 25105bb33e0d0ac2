#!/usr/bin/env bash
# Everything that proves Parley, on a fresh machine: installs what is missing, checks types and style, runs all tests.
# Arguments go to pytest: `bash tests/run.sh tests/unit`.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v flite >/dev/null || missing+=(flite)
[[ -x /usr/sbin/nginx ]] || missing+=(nginx)
if ((${#missing[@]})); then
  root=()
  ((EUID == 0)) || root=(sudo)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

python=${PYTHON:-.venv/bin/python}
[[ -x $python ]] || python3 -m venv .venv
"$python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
export OPENBLAS_NUM_THREADS=1 HF_HUB_OFFLINE=1 GRADIO_ANALYTICS_ENABLED=False

"$python" -m services.weights
if (($#)); then
  exec "$python" -m pytest "$@"
fi

# One half of the tests computes, the other half waits for real time to pass, so each has one of two cores. The computing half gives
# way: a recording that is played in real time needs a server that listens in time.
compute() {
  renice --priority 10 --pid "$BASHPID" >/dev/null
  "$python" -m ruff check .
  "$python" -m ruff format --check .
  "$python" -m mypy
  "$python" -m pytest tests/unit tests/fuzz tests/models tests/laboratory
}
log=$(mktemp)
compute >"$log" 2>&1 &
half=$!
trap 'pkill -P "$half" || true; rm -f "$log"' EXIT
failed=0
"$python" -m pytest tests/attack tests/integration tests/browser tests/deploy || failed=$?
wait "$half" || failed=$?
cat "$log"
exit "$failed"
