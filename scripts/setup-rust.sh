#!/bin/sh
# Makes sure that the toolchain named in rust-toolchain.toml is there, with
# rustfmt and clippy. Installs rustup for the current user if there is no cargo.
set -eu

PATH="$HOME/.cargo/bin:$PATH"
export PATH

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: there is no cargo; installing rustup for $(id -un) into $HOME/.cargo"
    if ! curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y --quiet --no-modify-path --profile default --default-toolchain none; then
        echo "setup: rustup could not be installed; install Rust $(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml) yourself and run this again" >&2
        exit 1
    fi
fi
# The first call fetches the pinned toolchain when rustup manages cargo.
cargo --version >/dev/null
for component in rustfmt clippy; do
    case $component in rustfmt) probe=fmt ;; *) probe=clippy ;; esac
    cargo "$probe" --version >/dev/null 2>&1 && continue
    echo "setup: adding $component"
    rustup component add "$component"
done
