//! The Node runtime client: loads the handler, then answers invocations over the framed channel.
//! The warm path is in this file. What only some invocations need is required when first used: `faults.cjs` (errors),
//! `logs.cjs` (console), `streams.cjs` (response streaming), `net` (event-driven reads, 2.5 ms to load).
//! It decides nothing about retries, time limits or processes: that is the worker's.
'use strict';

const fs = require('fs');

// Frame kinds, protocol v1 (runtimes/README.md).
const INVOKE = 1;
const READY = 16;
const RESPONSE = 17;
const ERROR = 18;
const INIT_ERROR = 19;

const PREFIX_BYTES = 9;
const READ_BYTES = 65536;
// 6 MiB + 100 bytes, the largest buffered response AWS accepts.
const RESPONSE_BYTES_MAX = 6291556;
const TOO_LARGE = {
  errorMessage: `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
  errorType: 'Function.ResponseSizeTooLarge',
};
// Statuses AWS's client leaves with; operators recognise them in exit reports.
const EXIT_REJECTION = 128;
const EXIT_EXCEPTION = 129;
const CALLBACKS_SUPPORTED = parseInt(process.versions.node, 10) < 24;
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

const env = process.env;
const current = { requestId: undefined, tenantId: undefined };

// ---- channel ----

/** Frames over one inherited socket. Reads block until the first answer is out, then they are event-driven. */
class Channel {
  constructor(fd) {
    this.fd = fd;
    this.socket = null;
    this.onFrame = null;
    this.buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    this.have = 0;
  }

  send(kind, header, body) {
    const isText = typeof body === 'string';
    const headerBytes = Buffer.byteLength(header);
    const bodyBytes = isText ? Buffer.byteLength(body) : body.length;
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes + bodyBytes);
    frame[0] = kind;
    frame.writeUInt32LE(headerBytes, 1);
    frame.writeUInt32LE(bodyBytes, 5);
    frame.utf8Write(header, PREFIX_BYTES, headerBytes);
    if (isText) frame.utf8Write(body, PREFIX_BYTES + headerBytes, bodyBytes);
    else body.copy(frame, PREFIX_BYTES + headerBytes);
    this.writeAll(frame);
  }

  writeAll(frame) {
    let done = 0;
    while (done < frame.length) {
      try {
        done += fs.writeSync(this.fd, frame, done, frame.length - done);
      } catch (error) {
        if (error.code === 'EAGAIN') waitBriefly();
        else hangUp();
      }
    }
  }

  /** Blocks for one frame; used once, when the first invocation is known to be on its way. */
  receiveBlocking() {
    for (;;) {
      const frame = this.takeFrame();
      if (frame !== null) return frame;
      const count = readBlocking(this.fd, this.buffer, this.have);
      if (count === 0) hangUp();
      this.have += count;
    }
  }

  /** From here on frames are delivered to `onFrame` by the event loop. */
  open() {
    if (this.socket !== null) return;
    const { Socket } = require('net');
    const chunk = Buffer.allocUnsafeSlow(READ_BYTES);
    this.socket = new Socket({
      fd: this.fd,
      readable: true,
      writable: true,
      allowHalfOpen: false,
      onread: { buffer: chunk, callback: (count) => this.received(chunk, count) },
    });
    this.socket.on('error', hangUp);
    this.socket.on('end', hangUp);
    this.socket.on('close', hangUp);
  }

  received(chunk, count) {
    if (this.have === 0 && count >= PREFIX_BYTES) {
      const total = frameBytes(chunk);
      if (total === count) {
        this.onFrame(splitFrame(chunk));
        return true;
      }
    }
    this.reserve(this.have + count);
    chunk.copy(this.buffer, this.have, 0, count);
    this.have += count;
    const frame = this.takeFrame();
    if (frame !== null) this.onFrame(frame);
    return true;
  }

  takeFrame() {
    if (this.have < PREFIX_BYTES) return null;
    const total = frameBytes(this.buffer);
    this.reserve(total);
    if (this.have < total) return null;
    const frame = splitFrame(this.buffer);
    this.buffer.copyWithin(0, total, this.have);
    this.have -= total;
    if (this.have === 0 && this.buffer.length > READ_BYTES) this.buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    return frame;
  }

  reserve(bytes) {
    if (bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(bytes);
    this.buffer.copy(larger, 0, 0, this.have);
    this.buffer = larger;
  }

  hold() {
    if (this.socket !== null) this.socket.ref();
  }

  release() {
    if (this.socket !== null) this.socket.unref();
  }
}

function frameBytes(buffer) {
  return PREFIX_BYTES + buffer.readUInt32LE(1) + buffer.readUInt32LE(5);
}

function splitFrame(buffer) {
  const head = PREFIX_BYTES + buffer.readUInt32LE(1);
  return {
    kind: buffer[0],
    header: buffer.utf8Slice(PREFIX_BYTES, head),
    body: buffer.utf8Slice(head, head + buffer.readUInt32LE(5)),
  };
}

function readBlocking(fd, buffer, offset) {
  for (;;) {
    try {
      return fs.readSync(fd, buffer, offset, buffer.length - offset);
    } catch (error) {
      if (error.code !== 'EAGAIN') hangUp();
      waitBriefly();
    }
  }
}

/** Another process made the descriptor non-blocking: one millisecond without spinning. */
function waitBriefly() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** The worker is gone: nobody waits for an answer, so nothing is said. */
function hangUp() {
  process.reallyExit(0);
}

// ---- handler ----

function loadHandler(root, name) {
  const { Fault } = require('./faults.cjs');
  if (name.includes('..')) {
    throw new Fault(
      'Runtime.MalformedHandlerName',
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const slash = name.lastIndexOf('/') + 1;
  const dot = name.indexOf('.', slash);
  if (dot <= slash || dot === name.length - 1) throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
  const exported = name.slice(dot + 1);
  const loaded = loadModule(root, name.slice(0, dot));
  const pick = (module) => pickHandler(module, exported, name, Fault);
  return typeof loaded.then === 'function' && loaded.lambentImport ? loaded.then(pick) : pick(loaded);
}

function pickHandler(module, exported, name, Fault) {
  let found = module;
  for (const part of exported.split('.')) found = found?.[part];
  // A CommonJS module imported as ESM keeps dynamic exports under `default`.
  if (found === undefined) {
    found = module?.default;
    for (const part of exported.split('.')) found = found?.[part];
  }
  if (!found) throw new Fault('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw new Fault('Runtime.HandlerNotFound', `${name} is not a function`);
  return found;
}

/** The module's exports, or a promise of them marked `lambentImport` when it is an ES module. */
function loadModule(root, relative) {
  const path = `${root}/${relative}`;
  if (isFile(path)) return requireModule(path, root);
  if (isFile(`${path}.js`)) {
    return isModulePackage(`${path}.js`) ? importModule(`${path}.js`) : requireModule(`${path}.js`);
  }
  if (isFile(`${path}.mjs`)) return importModule(`${path}.mjs`);
  if (isFile(`${path}.cjs`)) return requireModule(`${path}.cjs`);
  return requireModule(relative, root);
}

function isFile(path) {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isModulePackage(file) {
  let folder = file;
  while (folder !== '') {
    folder = folder.slice(0, folder.lastIndexOf('/'));
    let text;
    try {
      text = fs.readFileSync(`${folder}/package.json`, 'utf8');
    } catch {
      continue;
    }
    try {
      return JSON.parse(text).type === 'module';
    } catch {
      return false;
    }
  }
  return false;
}

function requireModule(request, root) {
  try {
    return require(root === undefined ? request : require.resolve(request, { paths: [root] }));
  } catch (error) {
    // `require` of an ES module that Node cannot load synchronously.
    if (error?.code === 'ERR_REQUIRE_ESM' || error?.code === 'ERR_REQUIRE_ASYNC_MODULE') return importModule(request);
    throw require('./faults.cjs').asLoadFault(error);
  }
}

function importModule(path) {
  const loading = import(require('url').pathToFileURL(path).href).catch((error) => {
    throw require('./faults.cjs').asLoadFault(error);
  });
  loading.lambentImport = true;
  return loading;
}

// ---- one invocation ----

const fixed = {};

function readEnvironment() {
  fixed.functionName = env.AWS_LAMBDA_FUNCTION_NAME;
  fixed.functionVersion = env.AWS_LAMBDA_FUNCTION_VERSION;
  fixed.memoryLimitInMB = env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  fixed.logGroupName = env.AWS_LAMBDA_LOG_GROUP_NAME;
  fixed.logStreamName = env.AWS_LAMBDA_LOG_STREAM_NAME;
}

function parsePart(what, text) {
  if (text === undefined || text === null || text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    const { Fault } = require('./faults.cjs');
    throw new Fault('Runtime.LambdaContextUnmarshalError', `Failed to parse ${what} as JSON`);
  }
}

function buildContext(header) {
  const deadline = header.deadline_ms;
  return {
    functionName: fixed.functionName,
    functionVersion: fixed.functionVersion,
    memoryLimitInMB: fixed.memoryLimitInMB,
    logGroupName: fixed.logGroupName,
    logStreamName: fixed.logStreamName,
    clientContext: parsePart('client context', header.client_context),
    identity: parsePart('cognito identity', header.cognito),
    invokedFunctionArn: header.arn,
    awsRequestId: header.id,
    tenantId: header.tenant,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

/** One buffered invocation until it has been answered; `settle` is called at most once with effect. */
class Invocation {
  constructor(runtime, header) {
    this.runtime = runtime;
    this.header = header;
    this.answered = false;
    // What to send once the event loop is empty; null means an answer of `null`.
    this.deferred = null;
    this.waitsForEmptyLoop = true;
  }

  run(handler, body) {
    let result;
    let context;
    try {
      context = buildContext(this.header);
      const event = JSON.parse(body);
      if (CALLBACKS_SUPPORTED) this.addLegacyMembers(context);
      result = CALLBACKS_SUPPORTED ? handler(event, context, this.callback()) : handler(event, context);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (typeof result?.then === 'function') {
      this.runtime.channel.release();
      result.then(
        (value) => this.succeed(value),
        (error) => this.fail(error),
      );
    } else if (!CALLBACKS_SUPPORTED || (result !== undefined && handler.length < 3)) {
      this.succeed(result);
    } else {
      this.runtime.channel.release();
    }
  }

  callback() {
    return (error, value) => {
      const send = error === undefined || error === null ? () => this.succeed(value) : () => this.fail(error);
      if (this.answered || this.deferred !== null) return;
      if (this.waitsForEmptyLoop) this.deferred = send;
      else send();
    };
  }

  addLegacyMembers(context) {
    const finish = (send) => {
      this.waitsForEmptyLoop = false;
      send();
    };
    context.done = (error, value) =>
      finish(() => (error === undefined || error === null ? this.succeed(value) : this.fail(error)));
    context.succeed = (value) => finish(() => this.succeed(value));
    context.fail = (error) => finish(() => this.fail(error ?? 'handled'));
    Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
      enumerable: true,
      configurable: true,
      get: () => this.waitsForEmptyLoop,
      set: (value) => {
        this.waitsForEmptyLoop = Boolean(value);
        if (!this.waitsForEmptyLoop && this.deferred !== null) this.deferred();
      },
    });
  }

  /** Nothing is left to run: the handler will never answer by itself. */
  loopIsEmpty() {
    if (this.deferred !== null) this.deferred();
    else this.succeed(null);
  }

  succeed(value) {
    if (this.answered) return;
    let text;
    try {
      text = JSON.stringify(value) ?? 'null';
    } catch (error) {
      const { Fault } = require('./faults.cjs');
      this.fail(new Fault('Runtime.MarshalError', `Unable to stringify response body: ${error?.message}`));
      return;
    }
    if (text.length * 3 > RESPONSE_BYTES_MAX && Buffer.byteLength(text) > RESPONSE_BYTES_MAX) this.refuseTooLarge();
    else this.answer(RESPONSE, `{"id":${JSON.stringify(this.header.id)}}`, text);
  }

  refuseTooLarge() {
    this.answer(ERROR, JSON.stringify({ id: this.header.id, type: TOO_LARGE.errorType }), JSON.stringify(TOO_LARGE));
  }

  fail(error) {
    if (this.answered) return;
    const { describe, logFault } = require('./faults.cjs');
    logFault('Invoke Error', error);
    const fields = describe(error);
    this.answer(ERROR, JSON.stringify({ id: this.header.id, type: fields.errorType }), JSON.stringify(fields));
  }

  answer(kind, header, body) {
    this.answered = true;
    this.runtime.channel.send(kind, header, body);
    this.runtime.finished();
  }
}

// ---- the loop ----

class Runtime {
  constructor(channel) {
    this.channel = channel;
    this.handler = null;
    this.invocation = null;
    this.traceId = undefined;
    this.initialised = false;
    channel.onFrame = (frame) => this.invoke(frame);
  }

  start(handler) {
    this.handler = handler;
    this.initialised = true;
    this.channel.send(READY, '{}', '');
    // `on-demand` says that a call waits already, so blocking for it is short and `net` can load after its answer.
    const waits = env.AWS_LAMBDA_INITIALIZATION_TYPE;
    if (waits === undefined || waits === 'on-demand') this.invoke(this.channel.receiveBlocking());
    else this.channel.open();
  }

  invoke(frame) {
    if (frame.kind !== INVOKE) throw new Error(`reading the channel: frame of unknown kind ${frame.kind}`);
    const header = JSON.parse(frame.header);
    current.requestId = header.id;
    current.tenantId = header.tenant;
    this.setTrace(header.trace);
    if (this.handler[STREAMING] === 'response') {
      const { StreamInvocation } = require('./streams.cjs');
      this.invocation = new StreamInvocation(this, header, this.handler[HIGH_WATER_MARK]);
    } else {
      this.invocation = new Invocation(this, header);
    }
    this.invocation.run(this.handler, frame.body);
  }

  finished() {
    this.invocation = null;
    this.channel.open();
    this.channel.hold();
  }

  setTrace(value) {
    if (value === this.traceId) return;
    this.traceId = value;
    if (value === undefined) delete env._X_AMZN_TRACE_ID;
    else env._X_AMZN_TRACE_ID = value;
  }

  /** Reports what nobody caught, to whoever waits, and leaves: the state of the process is unknown. */
  crash(label, fields, error, status) {
    require('./faults.cjs').logFault(label, error);
    const body = JSON.stringify(fields);
    if (!this.initialised) {
      this.channel.send(INIT_ERROR, JSON.stringify({ type: fields.errorType }), body);
      process.exit(1);
    }
    if (this.invocation !== null && !this.invocation.answered) this.invocation.abandon?.(fields);
    process.exit(status);
  }
}

Invocation.prototype.abandon = function abandon(fields) {
  this.answered = true;
  const header = JSON.stringify({ id: this.header.id, type: fields.errorType });
  this.runtime.channel.send(ERROR, header, JSON.stringify(fields));
};

function watchProcess(runtime) {
  process.on('beforeExit', () => {
    if (runtime.invocation !== null) runtime.invocation.loopIsEmpty();
  });
  process.on('uncaughtException', (error) => {
    const { describe } = require('./faults.cjs');
    runtime.crash('Uncaught Exception', describe(error), error, EXIT_EXCEPTION);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const { UnhandledRejection, describe } = require('./faults.cjs');
    if (!runtime.initialised && reason?.lambentInitFailure) return;
    const error = new UnhandledRejection(reason, promise);
    runtime.crash('Unhandled Promise Rejection', describe(error), error, EXIT_REJECTION);
  });
  // As first process of a namespace the kernel drops a SIGTERM that nobody handles.
  if (process.pid === 1) {
    process.on('SIGTERM', () => {
      if (process.listenerCount('SIGTERM') === 1) process.exit(0);
    });
  }
}

function patchConsole() {
  const levels = { trace: 'TRACE', debug: 'DEBUG', info: 'INFO', log: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => require('./logs.cjs').write(level, values);
  }
}

function offerStreaming() {
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (options?.highWaterMark !== undefined) handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
      return handler;
    },
    get HttpResponseStream() {
      return require('./streams.cjs').HttpResponseStream;
    },
  };
}

function addLayerPaths() {
  if (env.NODE_PATH !== undefined) return;
  const major = parseInt(process.versions.node, 10);
  env.NODE_PATH = `/opt/nodejs/node${major}/node_modules:/opt/nodejs/node_modules:${__dirname}/node_modules`;
  require('module')._initPaths();
}

function main() {
  const fd = parseInt(env.LAMBENT_CHANNEL_FD ?? '3', 10);
  delete env.LAMBENT_CHANNEL_FD;
  const runtime = new Runtime(new Channel(fd));
  readEnvironment();
  addLayerPaths();
  patchConsole();
  offerStreaming();
  watchProcess(runtime);
  const failed = (error) => {
    const { describe } = require('./faults.cjs');
    runtime.crash('Init Error', describe(error), error, 1);
  };
  try {
    const handler = loadHandler(env.LAMBDA_TASK_ROOT ?? '/var/task', env._HANDLER ?? '');
    if (typeof handler === 'function') runtime.start(handler);
    else handler.then((ready) => runtime.start(ready), failed);
  } catch (error) {
    failed(error);
  }
}

module.exports = { current, RESPONSE_BYTES_MAX, TOO_LARGE };

main();
