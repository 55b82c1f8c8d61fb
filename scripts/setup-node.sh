#!/bin/sh
# The JavaScript client that the end-to-end suite drives, at the versions of
# crates/e2e/js/package-lock.json. Installed again only when the lock changes.
set -eu

folder=crates/e2e/js
lock=$folder/package-lock.json
stamp=$folder/node_modules/.pins

[ -f "$stamp" ] && cmp -s "$lock" "$stamp" && exit 0

echo "setup: JavaScript client into $folder/node_modules"
npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error
cp "$lock" "$stamp"
