#!/bin/sh
# packages.sh DIR: fetch and unpack below DIR what a real node needs beside the control plane's file. Nothing is installed.
# Where that cannot be done it says why and ends well: the tests that need a node name it in their summary.
set -eu
dir=$1
names="containerd runc containernetworking-plugins busybox-static"
if [ -e "$dir/complete" ]; then
	exit 0
fi
for tool in apt-get dpkg; do
	if ! command -v "$tool" >/dev/null; then
		echo "no $tool here: a real node needs $names, installed or below the directory in FOREWARN_NODE_PACKAGES"
		exit 0
	fi
done
mkdir -p "$dir/archives"
cd "$dir/archives"
echo "fetching $names (once)"
# _apt may not read where a developer's files are, so apt-get warns that it fetches as root; that is all it has to say.
# shellcheck disable=SC2086 # one word a package
if ! apt-get -q download $names >download.log 2>&1; then
	if ! { apt-get -q update && apt-get -q download $names; } >download.log 2>&1; then
		echo "apt-get cannot fetch them: $(tail -n 1 download.log)"
		exit 0
	fi
fi
for archive in *.deb; do
	dpkg -x "$archive" "$dir"
done
touch "$dir/complete"
