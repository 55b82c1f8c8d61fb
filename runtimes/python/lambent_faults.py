# Turns an exception into the error JSON AWS documents and writes the matching log entry.
# Imported only once something has failed: `traceback` is too slow to load for starts that go well.
# It does not decide what is an error and does not touch the channel.
import sys
import traceback

import lambent_logs
from lambent_client import Fault, render_json

_OWN_FOLDER = __file__.rpartition("/")[0] + "/"
_OWN_FILES = tuple(_OWN_FOLDER + name for name in ("bootstrap.py", "lambent_start.py", "lambent_client.py", "lambent_logs.py"))
# CloudWatch's console trims ordinary leading blanks, so AWS indents the logged trace with these.
_NO_BREAK_SPACE = "\u00a0"


def describe_and_log(error, request_id):
    """(error type, error JSON) of `error`; the same is written to the log."""
    if isinstance(error, Fault):
        type_name, message, trace = error.type_name, error.message, error.trace
    else:
        type_name, message, trace = type(error).__name__, _text_of(error), _frames_of(error)
    fields = {"errorMessage": message, "errorType": type_name, "requestId": request_id, "stackTrace": trace}
    if lambent_logs.is_json():
        lambent_logs.write_json_error(fields)
    else:
        lambent_logs.write_error(_log_text(type_name, message, trace))
    return type_name, render_json(fields)


def _text_of(error):
    try:
        return str(error)
    except Exception as second:
        return "<the exception's text could not be built: %s>" % type(second).__name__


def _frames_of(error):
    """Formatted frames from the first one that is user code; plain tuples, so that no caret lines are added."""
    frames = traceback.extract_tb(error.__traceback__)
    start = 0
    while start < len(frames) and frames[start].filename in _OWN_FILES:
        start += 1
    return traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames[start:]])


def _log_text(type_name, message, trace):
    head = "[ERROR] %s: %s" % (type_name, message) if message else "[ERROR] %s" % type_name
    lines = [head, "Traceback (most recent call last):"]
    for entry in trace:
        for line in entry.splitlines():
            bare = line.lstrip(" ")
            lines.append(_NO_BREAK_SPACE * (len(line) - len(bare)) + bare)
    return "\n".join(lines)
