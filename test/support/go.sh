#!/bin/bash
# Builds a Go program, of a package's tests if it has any:
#
#   go.sh PACKAGE-FOLDER OUTPUT [PACKAGE]    PACKAGE: a program of another
#                                            module that the folder's go.mod
#                                            names
#
# With Go 1.26 or later, see go_env.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=go_env.sh
. "$here/go_env.sh"
cd "$here/../$1"
export CGO_ENABLED=0
if compgen -G '*_test.go' >/dev/null; then exec go test -c -o "$2" .; fi
exec go build -o "$2" "${3:-.}"
