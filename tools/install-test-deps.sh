#!/usr/bin/env bash
# Installs what the tests need where it is missing: Redis, PostgreSQL, MariaDB, nginx, curl, jq, Chromium, openpyxl
# and a font with Chinese characters. Says nothing and takes no time when everything is there. Works with apt-get (as
# root, or through sudo) and with Homebrew; elsewhere it says what to install by hand. No service is started: the tests
# start their own.
set -euo pipefail

# have NAME: a program of this name is in PATH, or where systems keep servers out of it.
have() {
	command -v "$1" >/dev/null 2>&1 && return 0
	local path
	for path in /usr/sbin/"$1" /usr/local/sbin/"$1" /usr/lib/postgresql/*/bin/"$1" /usr/pgsql-*/bin/"$1" \
		/opt/homebrew/opt/*/bin/"$1" /usr/local/opt/*/bin/"$1"; do
		[ -x "$path" ] && return 0
	done
	return 1
}

have_chromium() {
	have chromium || have chromium-browser || have google-chrome || have google-chrome-stable ||
		[ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ] ||
		[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

# The python3 in PATH may be a version manager's, which does not see the system's packages.
have_openpyxl() {
	local python
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import openpyxl' >/dev/null 2>&1 && return 0
	done
	return 1
}

# macOS brings fonts with Chinese characters; elsewhere fontconfig knows.
have_cjk_font() {
	[ "$(uname -s)" = Darwin ] || { have fc-list && [ -n "$(fc-list ':lang=zh-cn' family 2>/dev/null | head -n 1)" ]; }
}

# missing prints one word for each thing that is not there.
missing() {
	have redis-server || echo redis
	{ have postgres && have initdb; } || echo postgresql
	{ have mariadbd && have mariadb-install-db; } || echo mariadb
	have nginx || echo nginx
	have curl || echo curl
	have jq || echo jq
	have_chromium || echo chromium
	have_openpyxl || echo openpyxl
	have_cjk_font || echo cjk-font
}

fail() {
	echo "install-test-deps: $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		fail "apt-get needs root, and there is no sudo. As root run: apt-get install $packages"
	fi
}

# Debian's packages start their servers when installed. invoke-rc.d asks this program first, and 101 means no. An
# administrator's own policy is left as it is.
policy=/usr/sbin/policy-rc.d
policy_made=
forbid_services() {
	[ -e "$policy" ] && return 0
	policy_made=yes
	printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
}
allow_services() {
	if [ -n "$policy_made" ]; then
		as_root rm -f "$policy"
		policy_made=
	fi
}

with_apt() {
	packages=
	local name
	for name in $1; do
		case $name in
		redis) packages="$packages redis-server" ;;
		postgresql) packages="$packages postgresql" ;;
		mariadb) packages="$packages mariadb-server" ;;
		nginx) packages="$packages nginx-light" ;;
		curl | jq) packages="$packages $name" ;;
		chromium) packages="$packages chromium" ;;
		openpyxl) packages="$packages python3-openpyxl" ;;
		cjk-font) packages="$packages fontconfig fonts-noto-cjk" ;;
		esac
	done
	echo "install-test-deps: installing$packages" >&2
	trap allow_services EXIT
	trap 'exit 130' INT TERM
	forbid_services
	# Another apt-get may be at work, such as the system's own updates: wait for it.
	as_root apt-get -o DPkg::Lock::Timeout=300 -qq update ||
		echo "install-test-deps: apt-get update failed; going on with the lists there are" >&2
	# shellcheck disable=SC2086 # one word per package
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y \
		--no-install-recommends $packages >&2 || fail "apt-get could not install:$packages"
	allow_services
}

with_brew() {
	local name formulas='' casks=''
	for name in $1; do
		case $name in
		redis) formulas="$formulas redis" ;;
		postgresql) formulas="$formulas postgresql@17" ;;
		mariadb) formulas="$formulas mariadb" ;;
		nginx | curl | jq) formulas="$formulas $name" ;;
		chromium) casks="$casks chromium" ;;
		openpyxl) formulas="$formulas python3" ;;
		esac
	done
	echo "install-test-deps: installing$formulas$casks" >&2
	# shellcheck disable=SC2086 # one word per package
	[ -z "$formulas" ] || brew install --quiet $formulas >&2 || fail "brew could not install:$formulas"
	# shellcheck disable=SC2086
	[ -z "$casks" ] || brew install --quiet --cask $casks >&2 || fail "brew could not install:$casks"
	have_openpyxl || python3 -m pip install --quiet --user --break-system-packages openpyxl >&2 ||
		fail "pip could not install openpyxl"
}

main() {
	local wanted
	wanted=$(missing)
	[ -n "$wanted" ] || return 0
	if command -v apt-get >/dev/null 2>&1; then
		with_apt "$wanted"
	elif command -v brew >/dev/null 2>&1; then
		with_brew "$wanted"
	else
		fail "neither apt-get nor brew is here; install by hand: $(echo "$wanted" | tr '\n' ' ')"
	fi
	wanted=$(missing)
	[ -z "$wanted" ] || fail "installed, and still not found: $(echo "$wanted" | tr '\n' ' ')"
}

main "$@"
