# A function's life with the AWS CLI, as the README tells it. Run with -eu by the
# end-to-end suite; $LAMBENT and $LAMBENT_DATA are given, all else comes from
# `lambent env`.

eval "$("$LAMBENT" env)"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

expect() { # what, wanted, seen
    [ "$2" = "$3" ] && return 0
    echo "$1: wanted <$2>, saw <$3>" >&2
    exit 1
}

cat >app.py <<'PYTHON'
def handler(event, context):
    if event.get("fail"):
        raise ValueError("asked to")
    return {"hello": event["name"]}
PYTHON
python3 -c 'import zipfile; zipfile.ZipFile("code.zip", "w").write("app.py")'

made=$(aws lambda create-function --function-name from-cli --runtime python3.11 --handler app.handler \
    --role arn:aws:iam::123456789012:role/e2e --zip-file fileb://code.zip --memory-size 512 \
    --query '[FunctionName,Runtime,MemorySize]' --output text)
expect create-function "from-cli	python3.11	512" "$made"
aws lambda wait function-active-v2 --function-name from-cli

head=$(aws lambda invoke --function-name from-cli --payload '{"name":"you"}' \
    --query '[StatusCode,ExecutedVersion,FunctionError]' --output text answer.json)
expect invoke '200	$LATEST	None' "$head"
expect "the answer" '{"hello": "you"}' "$(cat answer.json)"

error=$(aws lambda invoke --function-name from-cli --payload '{"fail":true}' --log-type Tail \
    --query '[FunctionError,LogResult]' --output text failed.json)
expect "the function error" Unhandled "$(echo "$error" | cut -f1)"
echo "$error" | cut -f2 | base64 -d | grep -q '\[ERROR\] ValueError: asked to'
grep -q '"errorType": *"ValueError"' failed.json

listed=$(aws lambda list-functions --query 'Functions[].[FunctionName,Runtime]' --output text)
expect list-functions "from-cli	python3.11" "$listed"

sed -i s/hello/goodbye/ app.py
python3 -c 'import zipfile; zipfile.ZipFile("code.zip", "w").write("app.py")'
aws lambda update-function-code --function-name from-cli --zip-file fileb://code.zip >/dev/null
aws lambda wait function-updated-v2 --function-name from-cli
aws lambda invoke --function-name from-cli --payload '{"name":"you"}' answer.json >/dev/null
expect "the answer of the new code" '{"goodbye": "you"}' "$(cat answer.json)"

aws lambda put-function-concurrency --function-name from-cli --reserved-concurrent-executions 0 >/dev/null
if AWS_MAX_ATTEMPTS=1 aws lambda invoke --function-name from-cli --payload '{}' none.json 2>refused; then
    echo "a call passed a reservation of 0" >&2
    exit 1
fi
grep -q TooManyRequestsException refused

aws lambda delete-function --function-name from-cli
expect "list-functions after the end" 0 "$(aws lambda list-functions --query 'length(Functions)')"
if aws lambda get-function --function-name from-cli 2>missing; then
    echo "a deleted function was found" >&2
    exit 1
fi
grep -q ResourceNotFoundException missing
echo "the AWS CLI is content"
