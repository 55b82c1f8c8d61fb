# Log output in AWS's forms: the handler put on the root logger, and the entries of unhandled errors.
# Text goes to standard output line by line; with AWS_LAMBDA_LOG_FORMAT=JSON every entry is one JSON line.
# It never imports `logging` itself: `configure` gets the module when user code has asked for it.
import posix
import sys
import time

from lambent_client import current, render_json, variable

_LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "FATAL": 50, "CRITICAL": 50}
# Attributes every record has: what is left over was given by the user as `extra`.
_STANDARD_ATTRIBUTES = frozenset(
    (
        "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName "
        "created msecs relativeCreated thread threadName processName process taskName "
        "aws_request_id tenant_id message asctime"
    ).split()
)


def is_json():
    return variable("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def utc_text(seconds):
    whole = int(seconds)
    return "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)), int((seconds - whole) * 1000))


def _seconds_text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def write_error(text):
    _write(text + "\n")


def write_json_error(fields):
    entry = {"timestamp": _seconds_text(time.time()), "level": "ERROR"}
    entry.update(fields)
    if current.tenant_id is not None:
        entry["tenantId"] = current.tenant_id
    _write(render_json(entry).decode() + "\n")


def _write(text):
    try:
        # One call, so that entries of two threads are not mixed within a line.
        sys.stdout.write(text)
        sys.stdout.flush()
    except Exception:
        # A replaced or closed stdout must not hide the error itself from the caller.
        posix.write(1, text.encode("utf-8", "replace"))


def configure(logging):
    class InvocationFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = current.request_id
            record.tenant_id = current.tenant_id
            return True

    class StandardOutput(logging.Handler):
        def emit(self, record):
            try:
                _write(self.format(record))
            except Exception:
                self.handleError(record)

    handler = StandardOutput()
    handler.setFormatter(_json_formatter(logging) if is_json() else _text_formatter(logging))
    handler.addFilter(InvocationFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = _LEVELS.get(variable("AWS_LAMBDA_LOG_LEVEL", "").upper())
    if level is not None and is_json():
        root.setLevel(level)


def _text_formatter(logging):
    class Text(logging.Formatter):
        converter = time.gmtime

    form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
    return Text(form, "%Y-%m-%dT%H:%M:%S")


def _json_formatter(logging):
    class Json(logging.Formatter):
        def format(self, record):
            entry = {
                "timestamp": _seconds_text(record.created),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "requestId": getattr(record, "aws_request_id", None) or None,
                "tenantId": getattr(record, "tenant_id", None),
            }
            _add_exception(entry, record)
            for name, value in record.__dict__.items():
                if name not in _STANDARD_ATTRIBUTES and name not in entry:
                    entry[name] = value
            return _lenient_json({name: value for name, value in entry.items() if value is not None}) + "\n"

    return Json()


def _add_exception(entry, record):
    if record.stack_info:
        entry["stackInfo"] = record.stack_info.splitlines()
    if not record.exc_info or record.exc_info[0] is None:
        return
    import traceback

    kind, error, trace = record.exc_info
    entry["stackTrace"] = [line.rstrip("\n") for line in traceback.format_tb(trace)]
    entry["errorType"] = kind.__name__
    entry["errorMessage"] = str(error)
    entry["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)


def _lenient_json(entry):
    try:
        return render_json(entry).decode()
    except Exception:
        import json

        return json.dumps(entry, default=str, ensure_ascii=True, skipkeys=True)
