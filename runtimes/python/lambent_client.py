# The warm path of the Python runtime client: frames, JSON, the context object, one invocation after the other.
# Starting is in `lambent_start`; errors and logging are in `lambent_faults` and `lambent_logs`, which are imported
# only when something fails or when user code imports `logging`.
# It imports nothing that is not built into the interpreter: each further import costs a cold start.
import posix
import sys
import time

import _json

# Frame kinds, protocol v1 (runtimes/README.md).
INVOKE = 1
READY = 16
RESPONSE = 17
ERROR = 18

PREFIX_BYTES = 9
READ_BYTES = 65536
# Below this size a copy is cheaper than a second buffer in the system call.
JOIN_BYTES_MAX = 16384
# 6 MiB + 100 bytes, the largest buffered response AWS accepts.
RESPONSE_BYTES_MAX = 6291556
TOO_LARGE_TYPE = "Function.ResponseSizeTooLarge"
TOO_LARGE_MESSAGE = "Response payload size exceeded maximum allowed payload size (%d bytes)." % RESPONSE_BYTES_MAX

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


class Fault(Exception):
    """A failure the platform names itself, such as `Runtime.HandlerNotFound`."""

    def __init__(self, type_name, message, trace=None):
        Exception.__init__(self, message)
        self.type_name = type_name
        self.message = message
        self.trace = trace or []


class ChannelClosed(Exception):
    """The worker has hung up: nobody waits for an answer any more."""


# ---- JSON, straight from the interpreter's C module: the `json` package costs 6 ms to import ----


class _ScannerSettings:
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__


_scan = _json.make_scanner(_ScannerSettings)


def parse_json(text):
    """Parses like `json.loads`; a failure raises exactly the exception `json.loads` raises."""
    stripped = text.strip(" \t\n\r")
    try:
        value, end = _scan(stripped, 0)
        if end == len(stripped):
            return value
    except (StopIteration, ValueError):
        pass
    import json

    return json.loads(text)


def _json_default(value):
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return float("nan") if value.is_nan() else float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _encoder(encode_string):
    return lambda: _json.make_encoder({}, _json_default, encode_string, None, ": ", ", ", False, False, True)


_plain = _encoder(_json.encode_basestring)
_ascii = _encoder(_json.encode_basestring_ascii)
# The marker table that detects circular references empties itself after each success, so one encoder is kept.
_encode = _plain()


def render_json(value):
    """UTF-8 JSON bytes, characters unescaped; a lone surrogate has no UTF-8 form and is escaped instead."""
    global _encode
    try:
        return "".join(_encode(value, 0)).encode()
    except UnicodeEncodeError:
        return "".join(_ascii()(value, 0)).encode()
    except BaseException:
        _encode = _plain()
        raise


# ---- channel ----


class Channel:
    def __init__(self, fd):
        self.fd = fd
        self.rest = b""

    def receive(self):
        """One frame: (kind, header bytes, body bytes)."""
        data = self.rest or self._read()
        while len(data) < PREFIX_BYTES:
            data += self._read()
        head = PREFIX_BYTES + int.from_bytes(data[1:5], "little")
        total = head + int.from_bytes(data[5:9], "little")
        have = len(data)
        if have < total:
            data = self._read_rest(data, total)
            self.rest = b""
        elif have > total:
            self.rest = data[total:]
        else:
            self.rest = b""
        return data[0], data[PREFIX_BYTES:head], data[head:total]

    def send(self, kind, header, body):
        prefix = b"%c%b%b%b" % (kind, len(header).to_bytes(4, "little"), len(body).to_bytes(4, "little"), header)
        try:
            if len(body) <= JOIN_BYTES_MAX:
                data = prefix + body
                done = posix.write(self.fd, data)
                if done == len(data):
                    return
                left = memoryview(data)[done:]
            else:
                done = posix.writev(self.fd, (prefix, body))
                while done < len(prefix):
                    done += posix.writev(self.fd, (prefix[done:], body))
                left = memoryview(body)[done - len(prefix) :]
            while len(left):
                left = left[posix.write(self.fd, left) :]
        except OSError:
            raise ChannelClosed from None

    def close(self):
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            posix.close(fd)

    def _read(self):
        try:
            data = posix.read(self.fd, READ_BYTES)
        except OSError:
            raise ChannelClosed from None
        if not data:
            raise ChannelClosed
        return data

    def _read_rest(self, data, total):
        whole = bytearray(total)
        done = len(data)
        whole[:done] = data
        view = memoryview(whole)
        while done < total:
            try:
                count = posix.readv(self.fd, (view[done:],))
            except OSError:
                raise ChannelClosed from None
            if not count:
                raise ChannelClosed
            done += count
        view.release()
        return whole


# ---- what the handler sees ----


class CognitoIdentity:
    cognito_identity_id = None
    cognito_identity_pool_id = None

    def __repr__(self):
        return "CognitoIdentity([cognito_identity_id=%s,cognito_identity_pool_id=%s])" % (
            self.cognito_identity_id,
            self.cognito_identity_pool_id,
        )


class Client:
    installation_id = None
    app_title = None
    app_version_name = None
    app_version_code = None
    app_package_name = None

    def __repr__(self):
        return "Client([installation_id=%s,app_title=%s,app_version_name=%s,app_version_code=%s,app_package_name=%s])" % (
            self.installation_id,
            self.app_title,
            self.app_version_name,
            self.app_version_code,
            self.app_package_name,
        )


class ClientContext:
    custom = None
    env = None
    client = None

    def __repr__(self):
        return "ClientContext([custom=%s,env=%s,client=%s])" % (self.custom, self.env, self.client)


def _parse_context_part(what, text):
    try:
        return parse_json(text)
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (what, error)) from None


def _cognito_identity(text):
    identity = CognitoIdentity()
    value = _parse_context_part("Cognito Identity", text) if text else None
    if isinstance(value, dict):
        # AWS sends camel case, other senders the names of the attributes.
        identity.cognito_identity_id = value.get("cognitoIdentityId", value.get("cognito_identity_id"))
        identity.cognito_identity_pool_id = value.get("cognitoIdentityPoolId", value.get("cognito_identity_pool_id"))
    return identity


def _client_context(text):
    value = _parse_context_part("Client Context", text) if text else None
    if not isinstance(value, dict):
        return None
    context = ClientContext()
    context.custom = value.get("custom")
    context.env = value.get("env")
    if isinstance(value.get("client"), dict):
        context.client = Client()
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(context.client, name, value["client"].get(name))
    return context


class LambdaContext:
    # The same for every invocation: set once on the class by `load_environment`.
    function_name = None
    function_version = None
    memory_limit_in_mb = None
    log_group_name = None
    log_stream_name = None

    def __init__(self, header):
        self.aws_request_id = header["id"]
        self.invoked_function_arn = header.get("arn")
        self.tenant_id = header.get("tenant")
        self.client_context = _client_context(header.get("client_context"))
        self.identity = _cognito_identity(header.get("cognito"))
        self._epoch_deadline_time_in_ms = header.get("deadline_ms", 0)

    def get_remaining_time_in_millis(self):
        return max(int(self._epoch_deadline_time_in_ms - time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))
        sys.stdout.flush()

    def __repr__(self):
        names = (
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb function_version "
            "invoked_function_arn client_context identity tenant_id"
        ).split()
        return "LambdaContext([%s])" % ",".join("%s=%s" % (name, getattr(self, name)) for name in names)


class current:
    """The invocation in progress, for log records."""

    request_id = ""
    tenant_id = None


# ---- environment and output ----


def variable(name, default=None):
    value = posix.environ.get(name.encode())
    return default if value is None else value.decode("utf-8", "surrogateescape")


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            # A closed or replaced stream is the user's choice and must not cost the answer.
            pass


# ---- invocations ----


class Tracer:
    """Keeps `_X_AMZN_TRACE_ID` as the current invocation's; touches the environment only when it changes."""

    def __init__(self):
        self.value = None

    def set(self, value):
        if value == self.value:
            return
        self.value = value
        os = sys.modules.get("os")
        if os is not None:
            if value is None:
                os.environ.pop(TRACE_VARIABLE, None)
            else:
                os.environ[TRACE_VARIABLE] = value
            return
        # `os.environ` is a copy of `posix.environ`, taken when `os` is first imported.
        name = TRACE_VARIABLE.encode()
        if value is None:
            posix.environ.pop(name, None)
            posix.unsetenv(name)
        else:
            posix.environ[name] = value.encode()
            posix.putenv(name, value.encode())


def answer(handler, header, body):
    """(frame kind, extra header, body) for one invocation; SystemExit and KeyboardInterrupt pass through."""
    try:
        context = LambdaContext(header)
        try:
            event = parse_json(str(body, "utf-8"))
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from None
        result = handler(event, context)
        if isinstance(result, bytes):
            payload = result
        else:
            try:
                payload = render_json(result)
            except Exception as error:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error) from None
        if len(payload) > RESPONSE_BYTES_MAX:
            oversize = {"errorMessage": TOO_LARGE_MESSAGE, "errorType": TOO_LARGE_TYPE}
            return ERROR, TOO_LARGE_TYPE, render_json(oversize)
        return RESPONSE, None, payload
    except (SystemExit, KeyboardInterrupt, ChannelClosed):
        raise
    except BaseException as error:
        import lambent_faults

        type_name, payload = lambent_faults.describe_and_log(error, header["id"])
        return ERROR, type_name, payload


def serve(channel, handler):
    quote = _json.encode_basestring_ascii
    tracer = Tracer()
    channel.send(READY, b"{}", b"")
    while True:
        kind, head, body = channel.receive()
        if kind != INVOKE:
            raise RuntimeError("reading the channel: frame of unknown kind %d" % kind)
        header = parse_json(str(head, "utf-8"))
        request_id = header["id"]
        current.request_id = request_id
        current.tenant_id = header.get("tenant")
        tracer.set(header.get("trace"))
        kind, type_name, body = answer(handler, header, body)
        flush_output()
        if kind == RESPONSE:
            reply = '{"id":%s}' % quote(request_id)
        else:
            reply = '{"id":%s,"type":%s}' % (quote(request_id), quote(type_name))
        channel.send(kind, reply.encode(), body)
