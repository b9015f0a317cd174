#!/bin/sh
# Fails on C++ that clang-format 14 would write otherwise (.clang-format).
# Other versions lay some code out differently: without 14 the check is skipped.
#
# usage: format.sh [ROOT]
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "${1:-$here}"
if ! command -v clang-format-14 >/dev/null; then
  echo "format: SKIP: clang-format-14 is not installed"
  exit 0
fi
files() {
  find . \( -name '.?*' -o -name 'bazel-*' \) -prune -o \
    \( -name '*.cc' -o -name '*.h' \) -type f -print0
}
# One line for each file that is not as it should be.
unformatted() {
  files | xargs -0 -r -n 64 -P "$(nproc)" clang-format-14 \
    --style="file:$here/.clang-format" --dry-run -Werror 2>&1 |
    sed -nE 's|^(\./)?(.*):[0-9]+:[0-9]+: error:.*|\2: not formatted|p' | sort -u
}
clang-format-14 --style="file:$here/.clang-format" --dump-config >/dev/null
count=$(files | tr -cd '\0' | wc -c)
bad=$(unformatted)
[ -z "$bad" ] || printf '%s\n' "$bad"
echo "format: $count files, $(printf %s "$bad" | grep -c .) to format"
[ "$count" -gt 0 ] && [ -z "$bad" ]
