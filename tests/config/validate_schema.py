#!/usr/bin/env python3
"""Checks the generated JSON schemas in a folder against cases.json with python3-jsonschema."""
import json
import pathlib
import sys

import jsonschema


def main():
    folder = pathlib.Path(sys.argv[1])
    validators = {}
    for name in ("solver", "data", "network"):
        schema = json.loads((folder / f"{name}.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        validators[name] = jsonschema.Draft7Validator(schema)
    cases = json.loads((folder / "cases.json").read_text())
    wrong = 0
    for case in cases:
        errors = list(validators[case["schema"]].iter_errors(case["document"]))
        if (not errors) == case["good"]:
            continue
        wrong += 1
        found = errors[0].message[:300] if errors else "no error"
        print(f"{case['schema']}: {case['name']}: expected {'no error' if case['good'] else 'an error'}, found: {found}")
    print(f"{len(cases)} documents, {wrong} judged differently")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
