#!/usr/bin/env bash
# Everything that proves Parley, on a fresh machine: installs what is missing, checks types and style, runs all tests.
# Arguments go to pytest: `bash tests/run.sh tests/unit`.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian's packages, while Python's are installed.
programs() {
  local missing=() root=()
  command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
  command -v redis-server >/dev/null || missing+=(redis-server)
  command -v flite >/dev/null || missing+=(flite)
  [[ -x /usr/sbin/nginx ]] || missing+=(nginx)
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || root=(sudo)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
programs &
installing=$!

python=${PYTHON:-.venv/bin/python}
[[ -x $python ]] || python3 -m venv .venv
# pip takes a minute and a half for what uv does in a quarter of one; but uv knows nothing of an index that pip is configured with.
pip=("$python" -m pip --disable-pip-version-check install --quiet)
{ "${pip[@]}" uv==0.13.8 && "$python" -m uv pip install --quiet --python "$python" -r requirements-dev.txt; } ||
  "${pip[@]}" -r requirements-dev.txt
export OPENBLAS_NUM_THREADS=1 HF_HUB_OFFLINE=1 GRADIO_ANALYTICS_ENABLED=False

"$python" -m services.weights
wait "$installing"
if (($#)); then
  exec "$python" -m pytest "$@"
fi

# Four parts at a time on two cores: two compute, two mostly wait for real time to pass. Those that compute give way: a recording that is
# played in real time needs a server that listens in time.
compute() {
  renice --priority 10 --pid "$BASHPID" >/dev/null
  "$python" -m ruff check .
  "$python" -m ruff format --check .
  "$python" -m mypy
  "$python" -m pytest tests/unit tests/fuzz tests/models
}
laboratory() {
  renice --priority 10 --pid "$BASHPID" >/dev/null
  "$python" -m pytest tests/laboratory
}
around() {
  "$python" -m pytest tests/attack tests/browser tests/deploy
}
logs=$(mktemp -d)
parts=()
trap 'for part in "${parts[@]}"; do pkill -P "$part" || true; done; rm -rf "$logs"' EXIT
for part in compute laboratory around; do
  "$part" >"$logs/$part" 2>&1 &
  parts+=($!)
done
failed=0
"$python" -m pytest tests/integration || failed=$?
for part in "${parts[@]}"; do
  wait "$part" || failed=$?
done
cat "$logs"/*
exit "$failed"
