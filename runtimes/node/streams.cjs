//! Response streaming: the writable stream a streamified handler gets, and AWS's HTTP prelude on top of it.
//! Loaded by the first streamified invocation. The caller who did not ask for a stream gets the chunks joined as one
//! buffered answer. Chunks go out as frames 20 to 22; the socket's own back-pressure slows the handler down.
'use strict';

const { Writable } = require('stream');
const { RESPONSE_BYTES_MAX, TOO_LARGE, buildContext } = require('./bootstrap.cjs');

const RESPONSE = 17;
const ERROR = 18;
const STREAM_START = 20;
const STREAM_CHUNK = 21;
const STREAM_END = 22;

const HTTP_CONTENT_TYPE = 'application/vnd.awslambda.http-integration-response';
const DEFAULT_CONTENT_TYPE = 'application/octet-stream';
const PRELUDE_END = Buffer.alloc(8);

function asBuffer(chunk, encoding) {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk, encoding);
}

/** What the handler writes to; `sink` carries chunks to the worker. */
class ResponseStream extends Writable {
  constructor(sink, highWaterMark) {
    super(highWaterMark > 0 ? { highWaterMark } : {});
    this.sink = sink;
    this.contentType = undefined;
    this._onBeforeFirstWrite = undefined;
  }

  setContentType(contentType) {
    if (this.sink.started) throw new Error('Cannot set the content type after the first write');
    this.contentType = contentType;
  }

  _write(chunk, encoding, done) {
    try {
      this.prepare();
      this.sink.chunk(asBuffer(chunk, encoding), done);
    } catch (error) {
      done(error);
    }
  }

  _writev(chunks, done) {
    this._write(Buffer.concat(chunks.map(({ chunk, encoding }) => asBuffer(chunk, encoding))), undefined, done);
  }

  _final(done) {
    try {
      this.prepare();
      this.sink.end();
      done();
    } catch (error) {
      done(error);
    }
  }

  prepare() {
    if (this.sink.started) return;
    this.sink.start(this.contentType ?? DEFAULT_CONTENT_TYPE);
    const before = this._onBeforeFirstWrite;
    this._onBeforeFirstWrite = undefined;
    before?.((bytes) => this.sink.chunk(Buffer.from(bytes), () => {}));
  }
}

/** Sends each chunk at once. */
class FrameSink {
  constructor(invocation) {
    this.invocation = invocation;
    this.started = false;
  }

  start(contentType) {
    this.started = true;
    this.invocation.send(STREAM_START, { id: this.invocation.header.id, content_type: contentType }, '');
  }

  chunk(bytes, done) {
    if (bytes.length === 0) done();
    else this.invocation.runtime.channel.sendLater(STREAM_CHUNK, bytes, done);
  }

  end() {
    this.invocation.finish(STREAM_END, { id: this.invocation.header.id }, '');
  }

  fail(fields) {
    const { id } = this.invocation.header;
    if (this.started) this.invocation.finish(STREAM_END, { id, error_type: fields.errorType }, JSON.stringify(fields));
    else this.invocation.finish(ERROR, { id, type: fields.errorType }, JSON.stringify(fields));
  }
}

/** Joins the chunks, for a caller who waits for one answer. */
class BufferSink {
  constructor(invocation) {
    this.invocation = invocation;
    this.started = false;
    this.contentType = undefined;
    this.chunks = [];
    this.bytes = 0;
  }

  start(contentType) {
    this.started = true;
    this.contentType = contentType;
  }

  chunk(bytes, done) {
    this.bytes += bytes.length;
    // Above the limit nothing is kept: the answer will be the error, however much follows.
    if (this.bytes <= RESPONSE_BYTES_MAX) this.chunks.push(bytes);
    else this.chunks = [];
    done();
  }

  end() {
    const { id } = this.invocation.header;
    if (this.bytes > RESPONSE_BYTES_MAX) {
      this.fail(TOO_LARGE);
      return;
    }
    this.invocation.finish(RESPONSE, { id, content_type: this.contentType }, Buffer.concat(this.chunks));
  }

  fail(fields) {
    this.invocation.finish(ERROR, { id: this.invocation.header.id, type: fields.errorType }, JSON.stringify(fields));
  }
}

/** One invocation of a streamified handler; answered when its stream has ended. */
class StreamInvocation {
  constructor(runtime, header, highWaterMark) {
    this.runtime = runtime;
    this.header = header;
    this.answered = false;
    this.sink = header.stream === true ? new FrameSink(this) : new BufferSink(this);
    this.stream = new ResponseStream(this.sink, highWaterMark);
    // A destroyed stream reports here as well as to its writer; without a listener the process would end.
    this.stream.on('error', (error) => this.fail(error));
  }

  run(handler, body) {
    this.runtime.channel.open();
    this.runtime.channel.release();
    let result;
    try {
      result = handler(JSON.parse(body), this.stream, buildContext(this.header));
    } catch (error) {
      this.fail(error);
      return;
    }
    if (typeof result?.then !== 'function') {
      this.fail(new Error('Streaming does not support non-async handlers.'));
      return;
    }
    result.then(undefined, (error) => this.fail(error));
  }

  /** The handler has nothing left to run and did not end its stream: what it wrote is the answer. */
  loopIsEmpty() {
    if (!this.stream.writableEnded) this.stream.end();
    else this.fail(new Error('The response stream never finished.'));
  }

  fail(error) {
    if (this.answered) return;
    const { describe, logFault } = require('./faults.cjs');
    logFault('Invoke Error', error);
    this.sink.fail(describe(error));
    this.stream.destroy();
  }

  /** Answers with an error that ends the process. */
  abandon(fields) {
    this.last = true;
    this.sink.fail(fields);
  }

  send(kind, header, body) {
    const marked = this.last ? { ...header, last: true } : header;
    this.runtime.channel.send(kind, JSON.stringify(marked), body);
  }

  finish(kind, header, body) {
    if (this.answered) return;
    this.answered = true;
    this.send(kind, header, body);
    this.runtime.finished();
  }
}

class HttpResponseStream {
  /** Sends status, headers and cookies ahead of the body: JSON, eight NUL bytes, then what the handler writes. */
  static from(stream, prelude) {
    stream.setContentType(HTTP_CONTENT_TYPE);
    const text = JSON.stringify(prelude ?? {});
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(PRELUDE_END);
    };
    return stream;
  }
}

module.exports = { HttpResponseStream, StreamInvocation };
