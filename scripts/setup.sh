# shellcheck shell=bash
# Set-up of .venv from the lock files, for the commands in this folder; sourced by bash with `set -euo pipefail`.
#
# It needs Python 3.11 or newer and a pip for it (Debian's python3 without python3-venv is enough), and no compiler. It
# keeps what is complete, repairs the rest, and may run several times at once.
#
#   setup runtime    what the service needs       (requirements.lock)
#   setup test       the same and the tests' tools (requirements-test.lock)

HOME_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV="$HOME_DIR/.venv"
VENV_PYTHON="$VENV/bin/python"

# Variables meant for another Python would make ours search its directories.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV
# Without bytecode each worker of the tests rewrites all assertions anew, which is half of the collection.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $1"
  shift
  local hint
  for hint in "$@"; do say "  $hint"; done
  exit 1
}

# setup runtime|test: a complete .venv needs one quick check, no lock, and prints nothing.
setup() {
  local reason state=0 python pip
  reason=$(setup_reason "$1") && return
  python=$(find_python) || exit 1
  # Descriptor 9 holds the lock until the set-up is complete; a second set-up waits here, then finds it complete.
  exec 9>"$HOME_DIR/.venv.lock" || fail "cannot write to $HOME_DIR" "The set-up creates .venv there."
  wait_for_other_setup
  reason=$(setup_reason "$1") || state=$?
  if [ "$state" != 0 ]; then
    say "Setting up .venv: $reason"
    [ "$state" = "$TO_COMPLETE" ] || make_venv
    find_pip
    install_locked "$1"
    install_project
    "$VENV_PYTHON" -I -S "$HOME_DIR/scripts/stamp.py" write "$1" || fail "the new .venv does not work" "Remove .venv and start again."
    say "Set-up is complete."
  fi
  exec 9>&-
}

# Exit status of scripts/stamp.py for a .venv that pip can complete; after any other it is created anew.
TO_COMPLETE=1

# setup_reason runtime|test: prints why .venv is not complete and fails, or prints nothing and succeeds.
setup_reason() {
  if [ ! -d "$VENV" ]; then
    echo "it does not exist yet"
    return 3
  fi
  if ! "$VENV_PYTHON" -I -S -c '' 2>/dev/null; then
    echo "its Python is missing"
    return 3
  fi
  "$VENV_PYTHON" -I -S "$HOME_DIR/scripts/stamp.py" check "$1"
}

is_new_enough() { "$1" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Prints the command of a Python 3.11 or newer: $PYTHON if set, else the first of the usual names.
find_python() {
  local name
  if [ -n "${PYTHON:-}" ]; then
    is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer"
    echo "$PYTHON"
    return
  fi
  for name in python3.11 python3 python3.12 python3.13 python3.14; do
    if is_new_enough "$name"; then
      echo "$name"
      return
    fi
  done
  fail "Python 3.11 or newer was not found" \
    "Debian 12, Ubuntu 24.04 or newer: apt-get install python3 python3-venv" \
    "Elsewhere name it: PYTHON=/path/to/python3.11 $0"
}

# flock(2) through Python, because not every system has the flock command.
wait_for_other_setup() {
  "$python" -I -S -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
  say "Waiting for another set-up of this checkout."
  attended "$python" -I -S -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

# Runs a long command in a process group of its own, and ends that group when this script is ended; without it bash
# would leave the children running at SIGTERM.
attended() {
  local child status=0
  set -m
  "$@" </dev/null &
  child=$!
  set +m
  trap 'stop_attended "$child" 130' INT
  trap 'stop_attended "$child" 143' TERM HUP
  wait "$child" || status=$?
  trap - INT TERM HUP
  return "$status"
}

stop_attended() {
  kill -TERM -- "-$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  exit "$2"
}

make_venv() {
  say "  creating it with $("$python" -I -S -c 'import sys; print(sys.executable, sys.version.split()[0])')"
  rm -rf "$VENV"
  if "$python" -I -c 'import ensurepip' 2>/dev/null; then
    attended "$python" -I -m venv "$VENV" || fail "$python could not create $VENV"
  elif "$python" -P -m pip --version >/dev/null 2>&1; then
    # Debian without python3-venv: no ensurepip, but a pip that can install into another environment.
    "$python" -I -m venv --without-pip "$VENV" || fail "$python could not create $VENV"
  else
    fail "$python has neither ensurepip nor pip" "Debian and Ubuntu: apt-get install python3-venv" "Then start again."
  fi
}

# Sets `pip` to the pip of .venv, else to that of the Python that created it.
find_pip() {
  pip=("$VENV_PYTHON" -P -m pip)
  if ! "$VENV_PYTHON" -I -c 'import pip' 2>/dev/null; then
    pip=("$python" -P -m pip --python "$VENV_PYTHON")
    "${pip[@]}" --version >/dev/null 2>&1 || fail "neither .venv nor $python has pip 22.3 or newer" \
      "Debian and Ubuntu: apt-get install python3-venv, remove .venv and start again."
  fi
}

pip_install() { PYTHONUNBUFFERED=1 PIP_USER=0 "${pip[@]}" --disable-pip-version-check --no-input install "$@"; }

install_locked() {
  local lock="$HOME_DIR/requirements.lock"
  [ "$1" = runtime ] || lock="$HOME_DIR/requirements-test.lock"
  say "  installing the packages of ${lock##*/}, checked by hash"
  rm -f "$VENV/.stamp"
  attended install_with_progress "$lock" || fail "pip could not install ${lock##*/} (its message is above)" \
    "Without a network or behind a proxy: pip's own settings count (pip config, PIP_INDEX_URL, PIP_PROXY)." \
    "Then start again: installed packages are kept."
  rm -f "$VENV/.unpacking"
}

install_with_progress() {
  pip_install --require-hashes --only-binary :all: --progress-bar off -r "$1" | show_progress "$(grep -c '==' "$1")"
}

# Prints a line for every ten packages of pip's output; its errors go to stderr unchanged. Interrupted while unpacking,
# pip leaves incomplete packages: the file .unpacking makes the next start create .venv anew.
show_progress() {
  local line seen=0
  while read -r line; do
    case $line in
      "Collecting "* | "Processing "* | "Requirement already satisfied: "*)
        seen=$((seen + 1))
        [ $((seen % 10)) != 0 ] || say "    $seen of about $1 packages"
        ;;
      "Installing collected packages"*)
        touch "$VENV/.unpacking"
        say "    unpacking"
        ;;
    esac
  done
}

# Installs the project editable, so that code and templates of this checkout run. flit_core is in the lock file.
install_project() {
  say "  installing rgz-email"
  attended pip_install --quiet --no-index --no-deps --no-build-isolation -e "$HOME_DIR" ||
    fail "pip could not install the project (its message is above)"
}
