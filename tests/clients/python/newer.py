"""Triggers a job as a client of a later version would, with a field that no server knows: python newer.py HOST:PORT JOB"""

import sys

import grpc

DEADLINE = 20
JOB_ID = 2
UNKNOWN = 2_000


def varint(number):
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def text(field, value):
    value = value.encode()
    return varint(field << 3 | 2) + varint(len(value)) + value


def main(address, job_id):
    trigger = grpc.insecure_channel(address).unary_unary("/punctual.v1.JobService/TriggerJob")
    try:
        trigger(text(JOB_ID, job_id) + varint(UNKNOWN << 3) + varint(1), timeout=DEADLINE, wait_for_ready=True)
    except grpc.RpcError as refused:
        print(refused.code().name, refused.details())
    else:
        print("done, without what the field asked for")


if __name__ == "__main__":
    main(*sys.argv[1:])
