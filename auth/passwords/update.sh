#!/bin/sh
# Rebuilds common.txt and its licence from the npm package named in README.md.
# Needs npm, node and sort. Usage: ./update.sh [version]
set -eu

version=${1:-4.1.3}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "@zxcvbn-ts/language-common@$version" >/dev/null
tar -xzf ./*.tgz

# Sorted by bytes, as Go compares strings, because the list is searched by halves.
# In two steps, because a pipe would hide that node failed.
node -e '
	for (const entry of require("./package/src/passwords.json")) {
		const lower = entry.toLowerCase();
		if ([...lower].length >= 8) console.log(lower);
	}' >entries
LC_ALL=C sort -u -o entries entries
cp entries "$here/common.txt"
cp package/LICENSE.txt "$here/LICENSE.zxcvbn-ts.txt"
echo "$(wc -l <entries) entries of version $version"
