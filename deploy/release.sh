#!/usr/bin/env bash
# Builds the binaries of a release into dist/, with their checksums:
#
#   deploy/release.sh 0.1.0                     for every platform
#   deploy/release.sh 0.1.0 linux/amd64         for some
#   deploy/release.sh --check 0.1.0 linux/amd64 twice: the second time from a clone in another folder,
#                                               and with a cache of its own if CHECK_CACHE=own
#
# A binary depends on the commit, the version and go.mod's toolchain, and on nothing else: whoever
# builds the same commit gets the same bytes. It is static, and needs no file beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

check=false
if [ "${1:-}" = --check ]; then check=true; shift; fi
version=${1:?"usage: deploy/release.sh [--check] VERSION [OS/ARCH…]"}
shift
platforms=("$@")
[ ${#platforms[@]} -gt 0 ] || platforms=(linux/amd64 linux/arm64 darwin/arm64 darwin/amd64)

build() { # FROM TO OS/ARCH
  local commands=github.com/recsys-benthos/recsys-benthos/cmd/recsys-benthos/commands built
  built=$(git -C "$1" log -1 --format=%cd --date=format:%Y-%m-%dT%H:%M:%SZ)
  (cd "$1" && CGO_ENABLED=0 GOFLAGS= GOOS=${3%/*} GOARCH=${3#*/} go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X $commands.version=$version -X $commands.built=$built" -o "$2" ./cmd/recsys-benthos)
}

mkdir -p dist
for platform in "${platforms[@]}"; do
  name=recsys-benthos_${version}_${platform%/*}_${platform#*/}
  build . "$PWD/dist/$name" "$platform"
done
(cd dist && sha256sum recsys-benthos_"${version}"_* > SHA256SUMS && cat SHA256SUMS)
$check || exit 0

other=$(mktemp -d)
trap 'chmod -R u+w "$other"; rm -rf "$other"' EXIT
git clone -q . "$other/a/deeper/checkout"
if [ "${CHECK_CACHE:-}" = own ]; then export GOCACHE=$other/cache; fi
for platform in "${platforms[@]}"; do
  name=recsys-benthos_${version}_${platform%/*}_${platform#*/}
  build "$other/a/deeper/checkout" "$other/$name" "$platform"
  cmp "dist/$name" "$other/$name" || { echo "FAILED: another folder gives another binary for $platform" >&2; exit 1; }
  echo "$name is the same from another folder"
done
