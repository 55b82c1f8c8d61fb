// A function's life through the published JavaScript SDK: create, invoke, fail,
// throttle, delete. Run by the end-to-end suite with the variables of `lambent env`.
import assert from 'node:assert/strict';
import * as zlib from 'node:zlib';
import {
  LambdaClient, CreateFunctionCommand, InvokeCommand, DeleteFunctionCommand, GetFunctionCommand,
  ListFunctionsCommand, PutFunctionConcurrencyCommand, ResourceNotFoundException,
  TooManyRequestsException, waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda';

// zlib has crc32 only from Node 20.15 on; Debian 12's own Node is 18.
function crc32(bytes) {
  if (zlib.crc32) return zlib.crc32(bytes);
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// A zip archive with one file: local header, data, directory, end.
function zip(name, text) {
  const path = Buffer.from(name), plain = Buffer.from(text), packed = zlib.deflateRawSync(plain);
  const shared = Buffer.alloc(26);
  shared.writeUInt16LE(20, 0);
  shared.writeUInt16LE(8, 4);
  shared.writeUInt16LE(0x21, 8);
  shared.writeUInt32LE(crc32(plain), 10);
  shared.writeUInt32LE(packed.length, 14);
  shared.writeUInt32LE(plain.length, 18);
  shared.writeUInt16LE(path.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, path, packed]);
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(0o100644 * 65536, 6);
  const directory = Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), shared, rest, path]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, directory, Buffer.from('PK\x05\x06'), end]);
}

const client = new LambdaClient({ maxAttempts: 1 });
const FunctionName = 'from-javascript';
const source = `exports.handler = async (event) => {
  if (event.fail) throw new RangeError('asked to');
  return { doubled: event.n * 2 };
};`;
const invoke = async (payload) => {
  const answer = await client.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(payload), LogType: 'Tail' }));
  return { ...answer, body: JSON.parse(answer.Payload.transformToString()) };
};

const made = await client.send(new CreateFunctionCommand({
  FunctionName, Runtime: 'nodejs20.x', Handler: 'index.handler', MemorySize: 1024, Timeout: 10,
  Role: 'arn:aws:iam::123456789012:role/e2e', Code: { ZipFile: zip('index.js', source) },
}));
assert.equal(made.$metadata.httpStatusCode, 201);
await waitUntilFunctionActiveV2({ client, maxWaitTime: 20 }, { FunctionName });

const answer = await invoke({ n: 21 });
assert.deepEqual(answer.body, { doubled: 42 });
assert.equal(answer.ExecutedVersion, '$LATEST');
assert.equal(answer.FunctionError, undefined);
assert.match(Buffer.from(answer.LogResult, 'base64').toString(), /REPORT RequestId: .*Init Duration: /);

const failed = await invoke({ fail: true });
assert.equal(failed.FunctionError, 'Unhandled');
assert.equal(failed.body.errorType, 'RangeError');
assert.equal(failed.body.errorMessage, 'asked to');

const listed = await client.send(new ListFunctionsCommand({}));
assert.deepEqual(listed.Functions.map((f) => f.FunctionName), [FunctionName]);

await client.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }));
await assert.rejects(invoke({ n: 1 }), (error) => {
  assert.ok(error instanceof TooManyRequestsException, error);
  assert.equal(error.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
  return true;
});

await client.send(new DeleteFunctionCommand({ FunctionName }));
await assert.rejects(client.send(new GetFunctionCommand({ FunctionName })), ResourceNotFoundException);
console.log('the JavaScript SDK is content');
