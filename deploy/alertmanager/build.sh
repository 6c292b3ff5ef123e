#!/bin/sh
# build.sh FILE: build Alertmanager out of its Go module into FILE. The module lacks the pages of its web interface, which its own build makes with
# Node; tests need none of them, so an empty page stands in, in a copy of the module.
set -eu
file=$1
go=${GO:-go}
cd "$(dirname "$0")"
source=$("$go" mod download -json github.com/prometheus/alertmanager | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
copy=$(mktemp -d)
trap 'chmod -R u+w "$copy"; rm -rf "$copy"' EXIT
cp -R "$source/." "$copy"
chmod -R u+w "$copy"
mkdir -p "$copy/ui/app/dist"
echo 'made for tests: without pages' >"$copy/ui/app/dist/README"
cd "$copy"
CGO_ENABLED=0 "$go" build -trimpath -gcflags=all=-l -ldflags '-s -w' -o "$file" ./cmd/alertmanager
