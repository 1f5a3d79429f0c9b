"""Holds a server to its OpenAPI document with schemathesis: python fuzz.py BASE_URL

There are a job with a run, a calendar and a namespace to find, so that requests get beyond "there is no such job".
What is asked of every answer: no failure of the server, a documented status and content type, and the schema.
"""

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

API = "/api/v1/scheduler"
EXAMPLES = 15

# What a server must never do. Not asked: whether every valid request is accepted, for ids may be taken and cron
# expressions wrong in ways that a schema cannot say; and whether every invalid one is refused, for canonical JSON takes
# numbers in strings.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]

# Left out: the first two are streams without an end, which tests of their own read; the third would send the agent
# away that the others need.
LEFT_OUT = ["WatchRuns", "TailRunLogs", "DrainAgent"]

def call(base_url, verb, path, body=None):
    request = urllib.request.Request(base_url + path, method=verb)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        sys.exit(f"{verb} {path}: {refused.code} {refused.read().decode()}")


def prepare(base_url):
    """Values that parameters have half of the time."""
    task = {"type": "process", "payload": {"command": ["echo", "fuzzed"]}}
    schedule = {"cron": ["0 2 * * *"]}
    call(base_url, "POST", f"{API}/jobs", {"jobId": "known", "task": task, "schedule": schedule})
    run = call(base_url, "POST", f"{API}/jobs/known/trigger", {})
    call(base_url, "POST", f"{API}/calendars", {"calendarId": "known", "dates": ["2099-12-25"]})
    agents = call(base_url, "GET", f"{API}/agents")["agents"]
    return {
        "jobId": ["known"],
        "runId": [run["runId"]],
        "calendarId": ["known"],
        "agentId": [agent["agentId"] for agent in agents] or ["none"],
        "namespace": ["default", "-"],
        "revision": [1],
        "name": ["process"],
    }


def config(known):
    lines = []
    for name, values in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    lines += [f'{json.dumps(name)} = {{ dictionary = "{name}", probability = 0.6 }}' for name in known]
    return "\n".join(lines) + "\n"


def main(base_url):
    with tempfile.TemporaryDirectory(prefix="punctual-fuzz-") as folder:
        settings = Path(folder) / "schemathesis.toml"
        settings.write_text(config(prepare(base_url)))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--mode", "all"]
        # Deterministic: the same requests each time, which is more than a seed promises.
        command += ["--generation-deterministic", "--max-examples", str(EXAMPLES)]
        command += ["--request-timeout", "20", "--warnings", "off", "--continue-on-failure", "--no-shrink"]
        for operation in LEFT_OUT:
            command += ["--exclude-operation-id", operation]
        command.append(f"{base_url}/api/v1/openapi.json")
        # Here and not in the folder of the caller: what it keeps for itself goes with the test.
        sys.exit(subprocess.run(command, cwd=folder, check=False).returncode)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
