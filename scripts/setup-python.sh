#!/bin/sh
# A private Python environment in .cache/venv with the AWS clients that the
# end-to-end suite drives, at the versions pinned in crates/e2e/requirements.txt.
# Made from the distribution's Python, and made again only when the pins change.
set -eu

pins=crates/e2e/requirements.txt
venv=.cache/venv
stamp=$venv/.pins

[ -f "$stamp" ] && cmp -s "$pins" "$stamp" && exit 0

echo "setup: Python clients (boto3, AWS CLI, awslambdaric) into $venv"
mkdir -p .cache
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins"
cp "$pins" "$stamp"
