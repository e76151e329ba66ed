#!/usr/bin/env bash
# Links the kernel object for BPF instruction set v3, with the atomic exchange and fetch-and-add that Linux has since 5.12. rustc
# asks for "generic", which is older, and aya-build leaves no room for flags of ours; so the linker's argument is replaced here.
set -euo pipefail
linker=$(dirname "$0")/../target/tools/bin/bpf-linker
if [ ! -x "$linker" ]; then
	echo "link: bpf-linker is not in target/tools: run \`make setup-build\`" >&2
	exit 1
fi
arguments=()
while [ $# -gt 0 ]; do
	arguments+=("$1")
	if [ "$1" = --cpu ]; then
		arguments+=(v3)
		shift
	fi
	shift
done
exec "$linker" "${arguments[@]}"
