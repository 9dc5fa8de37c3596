#!/bin/sh
# Rebuilds assets/ from the npm packages named below, each checked against its
# SHA-512. Needs npm, sha512sum, tar and gzip. Usage: ./update.sh
#
# For another version change its number and its checksum. GraphiQL 5 comes
# without the one-file build that the page loads.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# fetch NAME VERSION SHA512 unpacks one package into the directory NAME.
fetch() {
	npm pack --silent "$1@$2" >/dev/null
	echo "$3  $1-$2.tgz" | sha512sum --check --quiet
	mkdir "$1"
	tar -xzf "$1-$2.tgz" -C "$1" --strip-components=1
}

# keep FILE [NAME] adds one file to the assets, packed.
keep() {
	gzip -9 -n -c "$1" >"assets/${2:-$(basename "$1")}.gz"
}

fetch graphiql 4.1.2 acd9734080339ba8b62815e655058180bbedd13968c45541d9dd7c6ee92f76cbe312e1431ec2b1e4854ea262f55b5a39596fad139e3e8a81dbd8010acced9c52
fetch react 18.3.1 c12fa1020252851d0a844bcf240adfb8f54dd7e1f3d6dd18ea7e632eb1906e46f8bab80f13fd11bdefb590c075bffa16807826e1621c57e8bb176a53563fb689
fetch react-dom 18.3.1 e66e2740aa7ead945bd3d2cd1f9f463380714e1f76e75ff295b2886e97bb4e91b17c9fbd92fe812e42c15c88e3b296e06e720136a948db7b519d3593d2c9d423

mkdir assets
keep graphiql/graphiql.min.js
keep graphiql/graphiql.min.css
keep graphiql/LICENSE LICENSE.graphiql.txt
keep react/umd/react.production.min.js
keep react/LICENSE LICENSE.react.txt
keep react-dom/umd/react-dom.production.min.js
keep react-dom/LICENSE LICENSE.react-dom.txt

rm -rf "$here/assets"
cp -R assets "$here/assets"
