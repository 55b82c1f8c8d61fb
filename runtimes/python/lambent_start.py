# The start of the Python runtime client: takes the channel, prepares path, logging and signals, loads the handler.
# It ends in `lambent_client.serve`, which answers invocations. A parked client waits here for its function.
# As there, nothing is imported that is not built in, unless it is needed.
import builtins
import posix
import sys
import time

import _json
from lambent_client import Channel, ChannelClosed, Fault, LambdaContext, flush_output, parse_json, serve, variable

LOAD = 2
INIT_ERROR = 19
PARKED = 23

SIGTERM = 15
# What most functions import first; a parked client has the time to load it before it is given a function.
PARKED_MODULES = ("os", "json", "logging", "datetime", "lambent_faults")


def take_channel():
    """The channel's descriptor, hidden from user code, from programs it runs and from processes it forks."""
    fd = int(posix.environ.pop(b"LAMBENT_CHANNEL_FD", b"3"))
    posix.unsetenv(b"LAMBENT_CHANNEL_FD")
    posix.set_inheritable(fd, False)
    posix.set_blocking(fd, True)
    channel = Channel(fd)
    posix.register_at_fork(after_in_child=channel.close)
    return channel


def wait_parked(channel):
    """Warms up, then waits for the function's environment and folder; until then nothing of it is known."""
    for name in PARKED_MODULES:
        __import__(name)
    # The first compilation sets its machinery up: better now than with a caller waiting.
    compile("def handler(event, context):\n    return {'event': [event, 1]}\n", "warm.py", "exec")
    channel.send(PARKED, b"{}", b"")
    kind, head, _ = channel.receive()
    if kind != LOAD:
        raise RuntimeError("waiting parked: frame of unexpected kind %d" % kind)
    load = parse_json(str(head, "utf-8"))
    environ = sys.modules["os"].environ
    environ.clear()
    environ.update(load["env"])
    # `variable` reads this mapping, of which `os.environ` is a copy.
    posix.environ.clear()
    posix.environ.update((name.encode(), value.encode()) for name, value in load["env"].items())
    posix.chdir(load["cwd"])
    time.tzset()


def build_path(task_root):
    """Function code, layers, PYTHONPATH, this runtime, the interpreter, the host's packages: in that order."""
    version = "python%d.%d" % sys.version_info[:2]
    runtime = __file__.rpartition("/")[0]
    own = [task_root, "/opt/python/lib/%s/site-packages" % version, "/opt/python"]
    chosen = [part for part in variable("PYTHONPATH", "").split(":") if part]
    rest = [part for part in sys.path if part not in chosen and part != runtime]
    packages = []
    if sys.flags.no_site:
        # What `site` would add, without the 2 ms it takes to look for it.
        for part in (
            "/usr/local/lib/%s/site-packages" % version,
            "/usr/local/lib/%s/dist-packages" % version,
            "/usr/lib/python3/dist-packages",
        ):
            packages.append(part)
    path = []
    for part in own + chosen + [runtime] + rest + packages:
        if part not in path:
            path.append(part)
    sys.path[:] = path


def add_site_names():
    """`exit`, `quit` and `help` come from `site`, which is not loaded; handlers do call `exit`."""
    import _sitebuiltins

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()


def wants_site(task_root):
    """A PYTHONPATH of the user's own may carry a `sitecustomize`, as tracing layers do; then `site` has to run."""
    usual = (__file__.rpartition("/")[0], task_root, "/var/runtime", "/opt/python", "")
    return any(part not in usual for part in variable("PYTHONPATH", "").split(":"))


class LoggingWatch:
    """Sets the root logger up at the moment user code imports `logging`; until then it costs nothing."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(cls)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        loader, execute = spec.loader, spec.loader.exec_module

        def execute_and_configure(module):
            execute(module)
            import lambent_logs

            lambent_logs.configure(module)

        loader.exec_module = execute_and_configure
        return spec


def watch_logging():
    if "logging" in sys.modules:
        import lambent_logs

        lambent_logs.configure(sys.modules["logging"])
    else:
        sys.meta_path.insert(0, LoggingWatch)


def exit_on_sigterm():
    """As first process of a namespace the kernel drops a SIGTERM that nobody handles."""
    if posix.getpid() != 1:
        return
    import _signal

    def leave(number, frame):
        flush_output()
        posix._exit(0)

    _signal.signal(SIGTERM, leave)
    posix.register_at_fork(after_in_child=lambda: _signal.signal(SIGTERM, _signal.SIG_DFL))


def load_environment():
    LambdaContext.function_name = variable("AWS_LAMBDA_FUNCTION_NAME")
    LambdaContext.function_version = variable("AWS_LAMBDA_FUNCTION_VERSION")
    LambdaContext.memory_limit_in_mb = variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    LambdaContext.log_group_name = variable("AWS_LAMBDA_LOG_GROUP_NAME")
    LambdaContext.log_stream_name = variable("AWS_LAMBDA_LOG_STREAM_NAME")


def load_handler(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, error)) from None
    dotted = module_name.replace("/", ".")
    if dotted in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name
        )
    try:
        __import__(dotted)
        module = sys.modules[dotted]
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        message = "Syntax error in module '%s': %s" % (module_name, error)
        raise Fault("Runtime.UserCodeSyntaxError", message, trace) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = "Handler '%s' missing on module '%s'" % (function_name, module_name)
        raise Fault("Runtime.HandlerNotFound", message) from None


def main():
    channel = take_channel()
    try:
        start(channel)
    except ChannelClosed:
        flush_output()
        posix._exit(0)
    except KeyboardInterrupt:
        flush_output()
        posix._exit(130)
    finally:
        # Closed first: threads of the user's may keep the process alive after SystemExit, the worker need not wait.
        channel.close()


def start(channel):
    exit_on_sigterm()
    if posix.environ.pop(b"LAMBENT_PARKED", None) is not None:
        posix.unsetenv(b"LAMBENT_PARKED")
        wait_parked(channel)
    task_root = variable("LAMBDA_TASK_ROOT", "/var/task")
    add_site_names()
    build_path(task_root)
    load_environment()
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)
    try:
        watch_logging()
        if sys.flags.no_site and wants_site(task_root):
            import site

            site.main()
        handler = load_handler(variable("_HANDLER", ""))
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        import lambent_faults

        type_name, payload = lambent_faults.describe_and_log(error, "")
        flush_output()
        channel.send(INIT_ERROR, b'{"type":%b}' % _json.encode_basestring_ascii(type_name).encode(), payload)
        posix._exit(1)
    serve(channel, handler)
