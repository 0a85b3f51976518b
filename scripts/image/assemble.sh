#!/bin/sh
# Makes the folder that the container runs from: the built server, its dependencies without what this platform does not use, and every
# model compiled. Runs in a checkout with its development dependencies; docs/guides/container.md.
#   sh scripts/image/assemble.sh FOLDER
set -eu
out=$1
cd "$(dirname "$0")/../.."

node scripts/build.js
mkdir -p "$out/openapi" "$out/samples"
cp -R package.json package-lock.json .npmrc LICENSE NOTICE bin dist weights "$out/"
cp openapi/openapi.yaml "$out/openapi/"
cp samples/*.jpg samples/README.md "$out/samples/"
cp scripts/image/healthcheck.js "$out/"
rm -rf "$out/dist/test" "$out/dist/bench"
(cd "$out" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund)
node scripts/image/prune.js "$out"
THINLENS_HOME="$out/models" node scripts/image/compile.js "$out"
rm -f "$out/package-lock.json" "$out/.npmrc"
# Whoever runs it reads it, and nobody writes to it.
chmod -R a+rX,a-w "$out"
