#!/bin/bash
# BuildKit and the docker CLI's plugins, from the Go module proxy alone:
#
#   buildkit.sh DIR     buildkitd, buildctl, docker-buildx and docker-compose,
#                       into DIR
#
# The modules are verified by the checksum database. A quarter of an hour of
# one processor the first time; Go's own cache makes the next one short.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# = 1 ] || { sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
dir=$(realpath -m "$1")
mkdir -p "$dir"
# shellcheck source=go_env.sh
. "$here/go_env.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false'

# Programs of a module, as those of a module that needs it: one with replaced
# or excluded dependencies cannot be installed by its name.
build() { # MODULE VERSION PACKAGE...
  local module=$1 version=$2 package
  shift 2
  mkdir "$work/${module##*/}"
  cd "$work/${module##*/}"
  printf 'module tools\n\ngo 1.26\n\nrequire %s %s\n' "$module" "$version" >go.mod
  { printf '//go:build tools\n\npackage tools\n\nimport (\n'
    for package; do printf '\t_ "%s/%s"\n' "$module" "$package"; done
    printf ')\n'; } >tools.go
  go mod tidy >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
  for package; do
    # Of the two names a module has one. Compose asks buildx for its version.
    go build -ldflags "-s -w -X $module/version.Version=$version
      -X $module/internal.Version=$version" -o "$dir/" "$module/$package"
  done
}

build github.com/moby/buildkit v0.34.2 cmd/buildkitd cmd/buildctl
build github.com/docker/buildx v0.38.2 cmd/buildx
mv "$dir/buildx" "$dir/docker-buildx"
build github.com/docker/compose/v2 v2.40.3 cmd
mv "$dir/cmd" "$dir/docker-compose"
