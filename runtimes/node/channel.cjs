//! The framed channel to the worker: one inherited socket, protocol v1 (runtimes/README.md). Knows nothing of handlers.
//!
//!   waiting for an invocation: event loop empty and nothing can wake it -> blocking read, the fastest there is
//!                              anything else (timers, sockets, signal handlers) -> event-driven read, for good
//!
//! The event-driven read needs `net`, which takes 2.5 ms to load; most functions never load it before their first answer.
'use strict';

const fs = require('fs');

const PREFIX_BYTES = 9;
const READ_BYTES = 65536;
// A stream's frames stay small, so that the worker never has to hold more than this of one stream.
const CHUNK_BYTES_MAX = 262144;

/** Frames over one inherited socket: read by blocking until `open`, by the event loop from then on. */
class Channel {
  constructor(fd) {
    this.fd = fd;
    this.socket = null;
    this.onFrame = null;
    this.modulesSeen = 0;
    this.turnRequested = 0;
    // False while an invocation is in progress: what arrives early waits in `buffer`.
    this.wanted = false;
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
    // Stream chunks may still wait in the socket: what follows them has to queue behind.
    if (this.unsent() > 0) {
      this.socket.write(frame);
      return;
    }
    let done = 0;
    while (done < frame.length) {
      try {
        done += fs.writeSync(this.fd, frame, done, frame.length - done);
      } catch (error) {
        if (error.code !== 'EAGAIN') hangUp();
        if (this.socket !== null) {
          this.socket.write(frame.subarray(done));
          return;
        }
        waitBriefly();
      }
    }
  }

  unsent() {
    return this.socket === null ? 0 : this.socket.writableLength;
  }

  whenSent(then) {
    if (this.unsent() === 0) then();
    else this.socket.write('', then);
  }

  /** As `send` without a header, but `done` is called when the kernel took it: a slow reader slows the writer. */
  sendLater(kind, body, done) {
    this.socket.cork();
    for (let at = 0; at < body.length; at += CHUNK_BYTES_MAX) {
      const part = body.subarray(at, at + CHUNK_BYTES_MAX);
      const prefix = Buffer.alloc(PREFIX_BYTES);
      prefix[0] = kind;
      prefix.writeUInt32LE(part.length, 5);
      this.socket.write(prefix);
      if (at + part.length < body.length) this.socket.write(part);
      else this.socket.write(part, (error) => done(error));
    }
    this.socket.uncork();
  }

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
    exitOnSigterm();
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
    if (this.wanted && this.have === 0 && count >= PREFIX_BYTES && frameBytes(chunk) === count) {
      this.wanted = false;
      this.onFrame(splitFrame(chunk));
      return true;
    }
    this.reserve(this.have + count);
    chunk.copy(this.buffer, this.have, 0, count);
    this.have += count;
    this.deliver();
    return true;
  }

  deliver() {
    const frame = this.wanted ? this.takeFrame() : null;
    if (frame === null) return;
    this.wanted = false;
    this.onFrame(frame);
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

  /** Makes sure that the next frame will be read while the event loop does whatever it has to do. */
  hold() {
    if (this.socket === null && this.mustStayResponsive()) this.open();
    if (this.socket === null) return;
    this.socket.ref();
    this.wanted = true;
    if (this.have > 0) setImmediate(() => this.deliver());
  }

  /** An empty loop ends the process; one more turn of it brings `loopIsEmpty` back after the answer. */
  requestTurn() {
    this.turnRequested = 1;
    setImmediate(() => {
      this.turnRequested = 0;
    });
  }

  /** Whether user code could have to run while no invocation is in progress. */
  mustStayResponsive() {
    const modules = process.moduleLoadList;
    if (modules === undefined || process.getActiveResourcesInfo().length > this.turnRequested) return true;
    // Sockets and signal handlers do not keep the loop alive, yet expect to be served by it.
    for (; this.modulesSeen < modules.length; this.modulesSeen += 1) {
      const name = modules[this.modulesSeen];
      if (name === 'NativeModule net' || name === 'Internal Binding signal_wrap') return true;
    }
    return false;
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

/** As first process of a namespace the kernel drops a SIGTERM that nobody handles. */
function exitOnSigterm() {
  if (process.pid !== 1) return;
  process.on('SIGTERM', () => {
    if (process.listenerCount('SIGTERM') === 1) process.exit(0);
  });
}

module.exports = { Channel };
