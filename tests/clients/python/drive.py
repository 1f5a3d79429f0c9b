"""Drives a job from its creation to its log with grpcio, all from reflection: python drive.py HOST:PORT"""

import base64
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

DEADLINE = 20


class Client:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def call(self, method, request):
        """One unary call; requests and answers as JSON has them."""
        service, name = f"punctual.v1.{method}".rsplit("/", 1)
        described = self.pool.FindServiceByName(service).FindMethodByName(name)
        asked = message_factory.GetMessageClass(described.input_type)
        answered = message_factory.GetMessageClass(described.output_type)
        stub = self.channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
        message = json_format.ParseDict(request, asked(), descriptor_pool=self.pool)
        answer = stub(message, timeout=DEADLINE, wait_for_ready=True)
        return json_format.MessageToDict(
            answer, descriptor_pool=self.pool, always_print_fields_with_no_presence=True
        )


def main(address):
    client = Client(address)
    task = {"type": "process", "payload": {"command": ["sh", "-c", "echo driven by $PUNCTUAL_JOB_ID"]}}
    job = client.call("JobService/CreateJob", {"job": {"jobId": "driven", "task": task}})
    assert job["state"] == "ACTIVE" and job["maxInstances"] == 1, job
    run = client.call("JobService/TriggerJob", {"jobId": "driven", "requestId": "once"})
    again = client.call("JobService/TriggerJob", {"jobId": "driven", "requestId": "once"})
    assert run["runId"] == again["runId"], "a repeated request makes no second run"
    ends = {"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "EXPIRED"}
    # Each call is a trip to the server, so this is no busy loop; the test has a time limit of its own.
    while run["state"] not in ends:
        run = client.call("RunService/GetRun", {"runId": run["runId"]})
    assert run["state"] == "SUCCEEDED", run
    logs = client.call("RunService/GetRunLogs", {"runId": run["runId"]})
    written = b"".join(base64.b64decode(chunk["data"]) for chunk in logs["chunks"])
    assert written == b"driven by driven\n", written
    try:
        client.call("JobService/GetJob", {"jobId": "nobody"})
        raise AssertionError("there is no such job")
    except grpc.RpcError as refused:
        assert refused.code() == grpc.StatusCode.NOT_FOUND, refused
    client.call("JobService/DeleteJob", {"jobId": "driven", "etag": job["etag"]})
    print("ok")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
