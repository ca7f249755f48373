# shellcheck shell=bash
# System programs that the tests need (git, Chromium, Dovecot); sourced after setup.sh. As root on Debian or Ubuntu it
# installs missing ones with apt-get; elsewhere it fails and says how to install them.

need_git() {
  command -v git >/dev/null && return
  install_packages "git" "the tests of templates in git" git
}

need_chromium() {
  find_chromium && return
  install_packages "a Chromium" "the tests in a real browser" chromium fonts-liberation
  find_chromium || fail "Chromium was installed, but none of its names is on PATH"
}

need_dovecot() {
  find_dovecot && return
  install_packages "Dovecot" "the tests of the bounce mailbox" dovecot-imapd
  find_dovecot || fail "Dovecot was installed, but it is neither on PATH nor in /usr/sbin"
}

# Debian installs it in /usr/sbin, which is on the PATH of root only.
find_dovecot() {
  command -v dovecot >/dev/null || [ -x /usr/sbin/dovecot ] || [ -x /usr/local/sbin/dovecot ]
}

find_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

# install_packages WHAT WHY PACKAGE...: runs apt-get, or fails with a hint.
install_packages() {
  local what=$1 why=$2 log
  shift 2
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$what is needed for $why and is not on PATH" \
      "Debian, Ubuntu: sudo apt-get install $*" \
      "Elsewhere: install $what on PATH, then start again."
  fi
  say "Installing $* with apt-get, for $why."
  log=$(mktemp)
  # On SIGTERM apt-get finishes first: interrupted, it would leave the system's packages unusable.
  trap 'exit 143' TERM HUP
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install $*" "Its last lines are above. Correct that, then start again."
  fi
  rm -f "$log"
  trap - TERM HUP
}
