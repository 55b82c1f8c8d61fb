#!/bin/sh
# Everything a fresh Debian 12 machine lacks, in order. Quick when nothing is.
#   setup.sh build    to build and run Lambent
#   setup.sh test     also what the tests drive it with
set -eu

cd "$(dirname "$0")/.."
scope=${1:-build}
scripts/setup-system.sh "$scope"
scripts/setup-rust.sh
if [ "$scope" = test ]; then
    scripts/setup-python.sh
    scripts/setup-node.sh
fi
