// Greets. Deploy: lambent deploy examples/node --name hello-node

let calls = 0;

export const handler = async (event, context) => {
  calls += 1;
  console.log(`call ${calls} of this environment`);
  return {
    message: `Hello, ${event.name ?? "world"}, from Node ${process.versions.node}`,
    calls_of_this_environment: calls,
    request: context.awsRequestId,
  };
};
