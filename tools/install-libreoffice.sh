#!/usr/bin/env bash
# Installs LibreOffice Calc where it is missing, for the workbooks it has to open. Says nothing when it is there. Works
# with apt-get (as root, or through sudo) and with Homebrew; elsewhere it says what to install by hand.
set -euo pipefail

have_soffice() {
	command -v soffice >/dev/null 2>&1 || [ -x /Applications/LibreOffice.app/Contents/MacOS/soffice ]
}

fail() {
	echo "install-libreoffice: $*" >&2
	exit 1
}

have_soffice && exit 0
if command -v apt-get >/dev/null 2>&1; then
	root=
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null 2>&1 || fail "apt-get needs root, and there is no sudo. As root run: apt-get install libreoffice-calc"
		root=sudo
	fi
	echo "install-libreoffice: installing libreoffice-calc" >&2
	$root apt-get -o DPkg::Lock::Timeout=600 -qq update || echo "install-libreoffice: going on with the lists there are" >&2
	$root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq install -y --no-install-recommends \
		libreoffice-calc >&2 || fail "apt-get could not install libreoffice-calc"
elif command -v brew >/dev/null 2>&1; then
	brew install --quiet --cask libreoffice >&2 || fail "brew could not install libreoffice"
else
	fail "neither apt-get nor brew is here; install LibreOffice by hand"
fi
have_soffice || fail "installed, and soffice is still not found"
