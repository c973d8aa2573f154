#!/usr/bin/env bash
# Known vulnerabilities of what the programs and the page are built from. A finding fails. A database that can't be
# reached is said and fails nothing: machines without a way out must be able to run every target.
set -uo pipefail
cd "$(dirname "$0")/.."

seconds=15
failed=0

# reachable URL: the address answers, with anything but an error.
reachable() { curl --silent --fail --location --max-time "$seconds" --output /dev/null "$1"; }

go_database=${GOVULNDB:-https://vuln.go.dev}
if reachable "$go_database/index/db.json"; then
	echo "== govulncheck, with $go_database"
	go tool -modfile=tools/go.mod govulncheck ./... || failed=1
else
	echo "audit: $go_database can't be reached from here, so the Go modules were not checked"
fi

registry=$(npm config get registry)
echo "== npm audit, with $registry"
# npm has no exit code of its own for a registry that it can't ask: its JSON has an error then, and a summary otherwise.
report=$(npm --prefix web audit --json --fetch-retries=0 --fetch-timeout=$((seconds * 1000)) 2>/dev/null)
if [[ $report != *'"vulnerabilities"'* ]]; then
	echo "audit: $registry can't be asked from here, so the page's packages were not checked"
elif ! npm --prefix web audit; then
	failed=1
fi
exit "$failed"
