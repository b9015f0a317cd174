#!/bin/bash
# Builds berth-shim and berth-oci for arm64 with Debian's cross compiler, and
# runs unit tests that need no kernel of their own under qemu:
#
#   arm64.sh             installs the compiler, builds, tests
#   arm64.sh TARGET...   builds these targets alone
#
# Debian's libraries for arm64 are unpacked in a folder of the user
# (~/.cache/berth-arm64), so the package setup of this machine stays as it is.
# The headers are this machine's: they are the same for both, but for some of
# OpenSSL's, which only tests need.
#
# As root, for the packages. BAZEL is the program to build with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$HOME/.cache/berth-arm64
# What the two programs and the tests link, all static.
libraries=(libabsl-dev libprotobuf-dev libseccomp-dev libgtest-dev libgmock-dev
  libssl-dev zlib1g-dev)
programs=(//shim:berth-shim //oci/cli:berth-oci)
# qemu 7.2 lacks openat2, clone3 and mounts: what only computes, and needs no
# OpenSSL.
tests=(//base:json_test //oci/spec/...)

# apt with package lists of its own, for arm64.
apt64() {
  apt-get -qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
    -o Dir::State::Status=/dev/null -o APT::Architecture=arm64 \
    -o APT::Architectures::=arm64 -o Acquire::Languages=none "$@"
}

fetch() {
  local package
  rm -rf "$work"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/new"
  apt64 update
  (cd "$work/cache" && apt64 download "${libraries[@]}")
  for package in "$work"/cache/*.deb; do
    dpkg-deb -x "$package" "$work/new"
  done
  rm -rf "$work/lists" "$work/cache"
  mv "$work/new" "$work/root"
}

./deploy/install-deps.sh arm64
[ -d "$work/root" ] || fetch
# The compiler among its own linkers: Bazel has it look beside itself first.
mkdir -p "$work/bin"
ln -sf /usr/bin/aarch64-linux-gnu-gcc /usr/aarch64-linux-gnu/bin/* "$work/bin/"
bazel() { # VERB ARGUMENT...
  local verb=$1
  shift
  ${BAZEL:-command bazel} "$verb" --noshow_progress --color=no --config=arm64 \
    --repo_env=CC="$work/bin/aarch64-linux-gnu-gcc" \
    --linkopt="-L$work/root/usr/lib/aarch64-linux-gnu" "$@"
}
if [ $# -gt 0 ]; then
  bazel build "$@"
  exit
fi
bazel build "${programs[@]}"
for program in bazel-bin/shim/berth-shim bazel-bin/oci/cli/berth-oci; do
  file=$(readelf -h "$program" | grep -c AArch64)
  [ "$file" = 1 ] || { echo "$program is not for arm64"; exit 1; }
done
# --version: up to the end of main.
qemu-aarch64-static bazel-bin/oci/cli/berth-oci --version
bazel test --run_under=/usr/bin/qemu-aarch64-static "${tests[@]}"
