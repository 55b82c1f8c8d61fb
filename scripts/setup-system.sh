#!/bin/sh
# Installs the system packages that building, running or testing needs, by name,
# and only those that are missing. Nothing is done when all are there.
#   setup-system.sh build|test
set -eu

scope=${1:-build}
missing=""

want() { # package, then a command that succeeds when it is there
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

want gcc command -v gcc
want libc6-dev test -e /usr/include/stdio.h
want make command -v make
want curl command -v curl
want ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
# The interpreters that functions run on: the distribution's own.
want python3 test -x /usr/bin/python3
want nodejs command -v node
# Makes the file systems of functions' scratch; without it scratch is memory.
want e2fsprogs test -x /sbin/mke2fs
if [ "$scope" = test ]; then
    want python3-venv /usr/bin/python3 -c 'import ensurepip, venv'
    want npm command -v npm
    # awslambdaric comes as a wheel on x86-64; elsewhere it is compiled.
    if [ "$(uname -m)" != x86_64 ]; then
        want g++ command -v g++
        want cmake command -v cmake
        want autoconf command -v autoconf
        want automake command -v automake
        want libtool command -v libtoolize
        want python3-dev test -e /usr/include/python3.11/Python.h
    fi
fi

[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: these are missing and there is no apt-get to install them:$missing" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "setup: run once as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "setup: installing system packages:$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086  # a list of names, one word each
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
