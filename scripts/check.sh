#!/bin/sh
# The checks that read code without running it: the project's own rules, format,
# lints, and licences and advisories where cargo-deny is installed.
set -eu

cd "$(dirname "$0")/.."
echo "check: the project's own rules"
cargo run --quiet -p xtask -- tidy
echo "check: format"
cargo fmt --all --check
echo "check: lints"
cargo clippy --quiet --workspace --all-targets -- -D warnings
if cargo deny --version >/dev/null 2>&1; then
    echo "check: licences, advisories, bans"
    cargo deny --log-level error check
else
    echo "check: cargo-deny is not installed, so licences and advisories were NOT checked (cargo install cargo-deny)"
fi
