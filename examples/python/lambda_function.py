"""Greets. Deploy: lambent deploy examples/python --name hello-python"""

import platform

calls = 0


def lambda_handler(event, context):
    global calls
    calls += 1
    print(f"call {calls} of this environment, {context.get_remaining_time_in_millis()} ms left")
    name = event.get("name", "world")
    return {
        "message": f"Hello, {name}, from Python {platform.python_version()}",
        "calls_of_this_environment": calls,
        "request": context.aws_request_id,
    }
