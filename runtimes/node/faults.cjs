//! Turns whatever was thrown into the error JSON AWS documents, and writes the matching log entry.
//! Loaded for the handler's lookup and after failures; it sends nothing and ends nothing.
'use strict';

const { isNativeError } = require('util').types;

/** A failure the platform names itself, such as `Runtime.HandlerNotFound`. */
class Fault extends Error {
  constructor(type, message) {
    super(message);
    this.name = type;
    const frames = (this.stack ?? '').split('\n').slice(String(message).split('\n').length);
    Object.defineProperty(this, 'stack', {
      value: [`${type}: ${message}`, ...frames].join('\n'),
      enumerable: false,
      writable: true,
      configurable: true,
    });
  }
}

class UnhandledRejection extends Fault {
  constructor(reason, promise) {
    super('Runtime.UnhandledPromiseRejection', String(reason));
    this.reason = reason;
    this.promise = promise;
  }
}

/** A load failure under AWS's name for it; anything the module itself threw stays as it is. */
function asLoadFault(error) {
  if (error instanceof Fault) return error;
  if (error instanceof SyntaxError) return new Fault('Runtime.UserCodeSyntaxError', String(error));
  const missing = error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND';
  return missing ? new Fault('Runtime.ImportModuleError', String(error)) : error;
}

/** The DEL character cannot travel in a header; AWS escapes it in every text of an error. */
function clean(text) {
  return String(text).replaceAll('\x7f', '%7F');
}

function isError(value) {
  return isNativeError(value) || value instanceof Error;
}

function describe(error) {
  if (!isError(error)) return { errorType: typeof error, errorMessage: textOf(error), trace: [] };
  const fields = { errorType: clean(error.name), errorMessage: clean(error.message) };
  if (error instanceof UnhandledRejection) {
    fields.reason = describe(error.reason);
    fields.promise = {};
  }
  fields.trace = clean(error.stack ?? '').split('\n');
  return fields;
}

function textOf(value) {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

function logFault(label, error) {
  const { writeFault } = require('./logs.cjs');
  writeFault(label, error, isError(error) ? loggedText(error) : JSON.stringify(describe(error)));
}

/** All own properties of the error, as AWS logs them; the short form when they are not JSON. */
function loggedText(error) {
  const known = { errorType: error.name, errorMessage: error.message };
  const stack = error.stack?.split('\n');
  try {
    return JSON.stringify({ ...known, code: error.code, ...error, stack });
  } catch {
    return JSON.stringify({ ...known, trace: stack });
  }
}

module.exports = { Fault, UnhandledRejection, asLoadFault, describe, isError, logFault };
