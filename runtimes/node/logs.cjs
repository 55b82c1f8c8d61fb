//! What `console` writes, in AWS's text and JSON forms, one write per entry to standard output.
//! Loaded by the first console call; it knows the current invocation and the two log variables, nothing else.
'use strict';

const fs = require('fs');
const { format, inspect } = require('util');
const { current } = require('./bootstrap.cjs');
const { describe, isError } = require('./faults.cjs');

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
let settings = null;

/** Read with the first entry, not when this file is loaded: a parked client has no function's environment then. */
function readSettings() {
  const isJson = (process.env.AWS_LAMBDA_LOG_FORMAT ?? '').toUpperCase() === 'JSON';
  const wanted = LEVELS.indexOf((process.env.AWS_LAMBDA_LOG_LEVEL ?? '').toUpperCase());
  // Filtering by level is part of JSON logging only.
  settings = { isJson, levelMin: isJson ? Math.max(0, wanted) : 0 };
  return settings;
}

function write(level, values) {
  const { isJson, levelMin } = settings ?? readSettings();
  if (LEVELS.indexOf(level) < levelMin) return;
  const now = new Date().toISOString();
  if (isJson) emit(jsonEntry(now, level, values));
  else emit(`${now}\t${current.requestId}\t${level}\t${format(...values)}`);
}

/** An unhandled error: the text form carries the error as JSON behind its label. */
function writeFault(label, error, text) {
  const now = new Date().toISOString();
  if ((settings ?? readSettings()).isJson) emit(jsonEntry(now, 'ERROR', [error]));
  else emit(`${now}\t${current.requestId}\tERROR\t${label} \t${text}`);
}

function jsonEntry(timestamp, level, values) {
  const entry = { timestamp, level, requestId: current.requestId, tenantId: current.tenantId };
  if (values.length === 1) {
    entry.message = isError(values[0]) ? errorFields(values[0]) : values[0];
    try {
      return JSON.stringify(entry);
    } catch {
      entry.message = inspect(values[0]);
      return JSON.stringify(entry);
    }
  }
  entry.message = format(...values);
  const error = values.find(isError);
  if (error !== undefined) Object.assign(entry, errorFields(error));
  return JSON.stringify(entry);
}

function errorFields(error) {
  const { errorType, errorMessage } = describe(error);
  return { errorType, errorMessage, stackTrace: error.stack?.split('\n') ?? [] };
}

function emit(text) {
  const bytes = Buffer.from(`${text}\n`);
  let done = 0;
  while (done < bytes.length) {
    try {
      done += fs.writeSync(1, bytes, done);
    } catch (error) {
      // A full pipe that something made non-blocking: wait for its reader. A closed one: nobody reads.
      if (error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

module.exports = { write, writeFault };
