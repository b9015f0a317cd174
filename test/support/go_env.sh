#!/bin/bash
# Sourced: a Go of at least 1.26 on PATH. An older Go (1.21 or later) fetches
# that one by itself through the Go module proxy; for a still older one, as
# Debian 12's, it is a module like any other, verified like any other.
want=1.26

export GOFLAGS=-buildvcs=false
command -v go >/dev/null || { echo 'no go on PATH' >&2; exit 1; }
have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || go version | cut -d' ' -f3)
have=${have#go}

older() { # A B
  [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]
}

if ! older "$have" "$want"; then
  export GOTOOLCHAIN=local
elif ! older "$have" 1.21; then
  export GOTOOLCHAIN=go$want.0
else
  home=$(GOFLAGS=-modcacherw go mod download -json \
    "golang.org/toolchain@v0.0.1-go$want.0.linux-$(dpkg --print-architecture)" |
    sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [ -d "$home" ] || { echo "Go $want cannot be fetched" >&2; exit 1; }
  # Modules hold no programs, by Go's own rules.
  chmod +x "$home"/bin/* "$home"/pkg/tool/*/*
  PATH=$home/bin:$PATH
  export GOTOOLCHAIN=local
fi
