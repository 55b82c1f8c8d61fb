//! The Node runtime client: loads the handler, then answers invocations over the framed channel.
//! The warm path is in this file. What only some invocations need is required when first used: `faults.cjs` (errors),
//! `logs.cjs` (console), `streams.cjs` (response streaming). `channel.cjs` carries the frames.
//! It decides nothing about retries, time limits or processes: that is the worker's.
'use strict';

const fs = require('fs');
const { Channel } = require('./channel.cjs');

// Frame kinds, protocol v1 (runtimes/README.md).
const INVOKE = 1;
const LOAD = 2;
const READY = 16;
const RESPONSE = 17;
const ERROR = 18;
const INIT_ERROR = 19;
const PARKED = 23;

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

function fault(type, message) {
  const { Fault } = require('./faults.cjs');
  return new Fault(type, message);
}

// ---- handler ----

function loadHandler(root, name) {
  if (name.includes('..')) {
    throw fault(
      'Runtime.MalformedHandlerName',
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const slash = name.lastIndexOf('/') + 1;
  const dot = name.indexOf('.', slash);
  if (dot <= slash || dot === name.length - 1) throw fault('Runtime.MalformedHandlerName', 'Bad handler');
  const exported = name.slice(dot + 1);
  const loaded = loadModule(root, name.slice(0, dot));
  const pick = (module) => pickHandler(module, exported, name);
  return typeof loaded.then === 'function' && loaded.lambentImport ? loaded.then(pick) : pick(loaded);
}

function pickHandler(module, exported, name) {
  let found = module;
  for (const part of exported.split('.')) found = found?.[part];
  // A CommonJS module imported as ESM keeps dynamic exports under `default`.
  if (found === undefined) {
    found = module?.default;
    for (const part of exported.split('.')) found = found?.[part];
  }
  if (!found) throw fault('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw fault('Runtime.HandlerNotFound', `${name} is not a function`);
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
    throw fault('Runtime.LambdaContextUnmarshalError', `Failed to parse ${what} as JSON`);
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
      this.fail(fault('Runtime.MarshalError', `Unable to stringify response body: ${error?.message}`));
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

  /** Answers with an error that ends the process: no further invocation is waited for. */
  abandon(fields) {
    if (this.answered) return;
    this.answered = true;
    const header = JSON.stringify({ id: this.header.id, type: fields.errorType, last: true });
    this.runtime.channel.send(ERROR, header, JSON.stringify(fields));
  }

  answer(kind, header, body) {
    this.answered = true;
    this.runtime.channel.send(kind, header, body);
    this.runtime.finished();
  }
}

// ---- the loop ----

/**
 * Runs what a promise of the handler's still needs, so that an answer does not cost a turn of the event loop (3 us).
 * Not a documented function: where it is missing the turn is taken.
 */
function runMicrotasks() {
  if (typeof process._tickCallback !== 'function') return false;
  process._tickCallback();
  return true;
}

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
    this.channel.hold();
  }

  /** Nothing is left to run: either the handler will never answer, or it is time to block for the next invocation. */
  loopIsEmpty() {
    if (this.invocation !== null) {
      this.channel.requestTurn();
      this.invocation.loopIsEmpty();
    } else if (this.initialised && this.channel.socket === null) {
      this.channel.requestTurn();
      do this.invoke(this.channel.receiveBlocking());
      while (runMicrotasks() && this.invocation === null && this.channel.socket === null);
    }
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
    if (this.invocation !== null) this.invocation.abandon(fields);
    this.channel.whenSent(() => process.exit(status));
  }
}

function watchProcess(runtime) {
  process.on('beforeExit', () => runtime.loopIsEmpty());
  process.on('uncaughtException', (error) => {
    const { describe } = require('./faults.cjs');
    runtime.crash('Uncaught Exception', describe(error), error, EXIT_EXCEPTION);
  });
  process.on('unhandledRejection', (reason, promise) => {
    const { UnhandledRejection, describe } = require('./faults.cjs');
    const error = new UnhandledRejection(reason, promise);
    runtime.crash('Unhandled Promise Rejection', describe(error), error, EXIT_REJECTION);
  });
}

function patchConsole() {
  const levels = {
    trace: 'TRACE',
    debug: 'DEBUG',
    info: 'INFO',
    log: 'INFO',
    warn: 'WARN',
    error: 'ERROR',
    fatal: 'FATAL',
  };
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

/** Warms up, then waits for the function's environment and folder; until then nothing of it is known. */
function waitParked(channel) {
  // What the first invocation would have to load and compile: errors, module look-up, the warm path itself.
  require('./faults.cjs').describe(new Error('warm'));
  loadModule(__dirname, 'logs');
  require('module')._initPaths();
  const nobody = { channel: { release() {}, send() {} }, finished() {} };
  new Invocation(nobody, { id: '' }).run(async (event) => event, '{}');
  runMicrotasks();
  channel.send(PARKED, '{}', '');
  const frame = channel.receiveBlocking();
  if (frame.kind !== LOAD) throw new Error(`waiting parked: frame of unexpected kind ${frame.kind}`);
  const load = JSON.parse(frame.header);
  for (const name of Object.keys(env)) delete env[name];
  Object.assign(env, load.env);
  process.chdir(load.cwd);
}

function main() {
  const fd = parseInt(env.LAMBENT_CHANNEL_FD ?? '3', 10);
  delete env.LAMBENT_CHANNEL_FD;
  const runtime = new Runtime(new Channel(fd));
  patchConsole();
  offerStreaming();
  watchProcess(runtime);
  if (env.LAMBENT_PARKED !== undefined) waitParked(runtime.channel);
  readEnvironment();
  addLayerPaths();
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

module.exports = { current, RESPONSE_BYTES_MAX, TOO_LARGE, buildContext };

main();
