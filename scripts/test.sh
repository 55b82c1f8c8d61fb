#!/bin/sh
# Runs tests and ends with the runner's own closing line.
#   test.sh             every crate, the simulator and the end-to-end suite
#   test.sh -p e2e ...  only what the arguments select
# Uses cargo-nextest where it is installed (one process per test), else cargo.
set -eu

cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- --workspace
jobs=${JOBS:-$(nproc)}
log=.cache/test.log
mkdir -p .cache

# Where the end-to-end suite finds the clients that setup.sh installed.
LAMBENT_E2E_VENV="$PWD/.cache/venv"
LAMBENT_E2E_NODE_MODULES="$PWD/crates/e2e/js/node_modules"
export LAMBENT_E2E_VENV LAMBENT_E2E_NODE_MODULES

# The published service model comes with the pinned client: with it, a test
# compares the generated code with what the generator writes.
for model in "$LAMBENT_E2E_VENV"/lib/python3*/site-packages/botocore/data/lambda/2015-03-31/service-2.json*; do
    if [ -f "$model" ]; then
        LAMBDA_SERVICE_MODEL=$model
        export LAMBDA_SERVICE_MODEL
    fi
done

if cargo nextest --version >/dev/null 2>&1; then
    run="cargo nextest run --no-fail-fast --test-threads $jobs"
    closing='^ *Summary '
else
    echo "test: cargo-nextest is not installed, using cargo test"
    RUST_TEST_THREADS=$jobs
    export RUST_TEST_THREADS
    run="cargo test --no-fail-fast"
    closing='^test result: '
fi

# The status of the runner, not of tee.
status=0
{ $run "$@" 2>&1 || echo $? >.cache/test.status; } | tee "$log"
if [ -f .cache/test.status ]; then
    status=$(cat .cache/test.status)
    rm -f .cache/test.status
fi
echo "test: closing line"
grep -E "$closing" "$log" | tail -n 1 || true
exit "$status"
