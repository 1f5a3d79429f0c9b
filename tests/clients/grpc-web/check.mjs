// Creates, gets and lists a job over gRPC-Web, with the client that browsers use: node check.mjs BASE_URL
//
// Nothing is generated: the services are described by the server itself, through reflection over the same wire.

import {
  createFileRegistry,
  create,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const STRING = 9;
const BYTES = 12;
const MESSAGE = 11;
const OPTIONAL = 1;
const REPEATED = 3;

// The part of grpc.reflection.v1 that is used here. On the server both sides stream; one question with its answers
// looks the same on the wire, and is what gRPC-Web can do.
const REFLECTION = {
  name: "reflection.proto",
  package: "grpc.reflection.v1",
  syntax: "proto3",
  messageType: [
    {
      name: "ServerReflectionRequest",
      field: [
        field("file_by_filename", 3, STRING),
        field("file_containing_symbol", 4, STRING),
      ],
    },
    {
      name: "ServerReflectionResponse",
      field: [
        field("file_descriptor_response", 4, MESSAGE, OPTIONAL, ".grpc.reflection.v1.FileDescriptorResponse"),
        field("error_response", 7, MESSAGE, OPTIONAL, ".grpc.reflection.v1.ErrorResponse"),
      ],
    },
    {
      name: "FileDescriptorResponse",
      field: [field("file_descriptor_proto", 1, BYTES, REPEATED)],
    },
    { name: "ErrorResponse", field: [field("error_message", 2, STRING)] },
  ],
  service: [
    {
      name: "ServerReflection",
      method: [
        {
          name: "ServerReflectionInfo",
          inputType: ".grpc.reflection.v1.ServerReflectionRequest",
          outputType: ".grpc.reflection.v1.ServerReflectionResponse",
          serverStreaming: true,
        },
      ],
    },
  ],
};

function field(name, number, type, label = OPTIONAL, typeName = "") {
  return { name, number, type, label, typeName };
}

function registryOf(files) {
  // Through bytes, so that what was left out gets its defaults.
  const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files }));
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, set));
}

async function ask(reflection, question) {
  for await (const answer of reflection.serverReflectionInfo(question)) {
    if (answer.errorResponse) throw new Error(`reflection: ${answer.errorResponse.errorMessage}`);
    return answer.fileDescriptorResponse.fileDescriptorProto.map((file) => fromBinary(FileDescriptorProtoSchema, file));
  }
  throw new Error("reflection answered nothing");
}

// The file of a service and all that it imports, what is imported first.
async function describe(transport, service) {
  const reflection = createClient(
    registryOf([REFLECTION]).getService("grpc.reflection.v1.ServerReflection"),
    transport,
  );
  const files = new Map();
  const add = async (found) => {
    for (const file of found) {
      for (const name of file.dependency) {
        if (!files.has(name)) await add(await ask(reflection, { fileByFilename: name }));
      }
      files.set(file.name, file);
    }
  };
  await add(await ask(reflection, { fileContainingSymbol: service }));
  return registryOf([...files.values()]).getService(service);
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

async function check(baseUrl) {
  const transport = createGrpcWebTransport({ baseUrl });
  const jobs = createClient(await describe(transport, "punctual.v1.JobService"), transport);
  const jobId = `grpc-web-${process.pid}-${Date.now()}`;
  const job = { jobId, task: { type: "noop" }, labels: { client: "connect-es" } };

  const created = await jobs.createJob({ job });
  expect(created.jobId === jobId, `CreateJob answered the job ${created.jobId}`);
  const got = await jobs.getJob({ jobId });
  expect(got.etag === created.etag && got.labels.client === "connect-es", "GetJob answered another job");
  const listed = await jobs.listJobs({ query: jobId });
  expect(listed.jobs.some((job) => job.jobId === jobId), "ListJobs does not have the job");

  const missing = await jobs.getJob({ jobId: `${jobId}-missing` }).catch((error) => error);
  const code = missing instanceof ConnectError ? missing.code : undefined;
  expect(code === Code.NotFound, `a job that is not there is answered with ${missing}`);
}

const baseUrl = process.argv[2];
if (!baseUrl) {
  console.error("usage: node check.mjs BASE_URL");
  process.exit(1);
}
try {
  await check(baseUrl);
  console.log("ok");
} catch (error) {
  console.error(`gRPC-Web: ${error.message}${error.cause ? ` (${error.cause})` : ""}`);
  process.exit(1);
}
