#!/bin/bash
# Builds a Go program, of a package's tests if it has any:
#
#   go.sh PACKAGE-FOLDER OUTPUT
#
# The tests want Go 1.26. An older Go (1.21 or later) fetches that one by
# itself through the Go module proxy; a still older one first builds
# golang.org/dl's launcher. See go.mod.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
want=1.26

export GOFLAGS=-buildvcs=false
command -v go >/dev/null || { echo 'go.sh: no go on PATH' >&2; exit 1; }
have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || go version | cut -d' ' -f3)
have=${have#go}
oldest=$(printf '%s\n%s\n' "$have" "$want" | sort -V | head -1)
if [ "$oldest" = "$want" ]; then
  export GOTOOLCHAIN=local
elif [ "$(printf '%s\n1.21\n' "$have" | sort -V | head -1)" = 1.21 ]; then
  export GOTOOLCHAIN=go$want.0
else
  # Too old to know about toolchains: the module proxy serves them as zip
  # files, which is how the newer ones get theirs.
  release=$want.0
  home=${XDG_CACHE_HOME:-$HOME/.cache}/berth-go-$release
  if [ ! -x "$home/bin/go" ]; then
    machine=$(dpkg --print-architecture)
    module=golang.org/toolchain@v0.0.1-go$release.linux-$machine
    proxy=$(go env GOPROXY | cut -d, -f1)
    [ -n "$proxy" ] && [ "$proxy" != direct ] || proxy=https://proxy.golang.org
    mkdir -p "$home.part"
    curl -fsSL --retry 3 -o "$home.zip" \
      "$proxy/golang.org/toolchain/@v/${module#*@}.zip"
    python3 - "$home.zip" "$home.part" "$module/" <<'END'
import os, sys, zipfile
source, target, prefix = sys.argv[1:]
with zipfile.ZipFile(source) as packed:
    for name in packed.namelist():
        if not name.startswith(prefix) or name.endswith("/"):
            continue
        path = os.path.join(target, name[len(prefix):])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(packed.read(name))
        if "/bin/" in name or "/pkg/tool/" in name:
            os.chmod(path, 0o755)
END
    rm -f "$home.zip"
    mv "$home.part" "$home"
  fi
  PATH=$home/bin:$PATH
  export GOTOOLCHAIN=local
fi
cd "$here/../$1"
export CGO_ENABLED=0
if compgen -G '*_test.go' >/dev/null; then exec go test -c -o "$2" .; fi
exec go build -o "$2" .
