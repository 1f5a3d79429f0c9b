"""Checks the OpenAPI document of a server: python openapi.py BASE_URL

Is it a valid document, and do its examples keep to its own schemas?
"""

import json
import sys
import urllib.request

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator


def examples(document):
    """Where each example stands, the schema that it is an example of, and the example."""
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{verb} {path}", media["schema"], media["example"]
    for name, response in document["components"]["responses"].items():
        for media in response["content"].values():
            if "example" in media:
                yield name, media["schema"], media["example"]


def main(base_url):
    with urllib.request.urlopen(f"{base_url}/api/v1/openapi.json") as answer:
        document = json.load(answer)
    faults = [f"{list(error.absolute_path)}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    checked = 0
    for place, schema, example in examples(document):
        # References lead to the root of what is validated against.
        validator = OAS31Validator({**schema, "components": document["components"]})
        faults += [f"the example of {place}: {error.message}" for error in validator.iter_errors(example)]
        checked += 1
    if faults:
        sys.exit("\n".join(faults))
    print(f"valid, with {checked} examples")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
