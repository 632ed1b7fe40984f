"""The suite file as a JSON Schema, for editors and for messages that name the valid keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.spec.identity import canonical_json
from harness.spec.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEMPLATE = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_FOR = {
    "description": "One analysis for each record; ${key} stands for the record's value.",
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
}


def suite_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of suite.yaml, with a description of every key."""
    schema = Suite.model_json_schema(by_alias=True)
    # Versions of pydantic differ in whether a constant is an enum too.
    for constant in (
        schema["properties"]["schema"],
        schema["$defs"]["Resampling"]["properties"]["by"],
    ):
        constant.pop("enum", None)
    for name in ("Analysis", "Resampling", "Extrapolation"):
        properties = schema["$defs"][name]["properties"]
        for key, entry in properties.items():
            properties[key] = _or_template(entry)
    # A name may hold ${key} anywhere, which its pattern would refuse.
    schema["$defs"]["Analysis"]["properties"]["for"] = _FOR
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Suite",
        "description": "A suite of rl-scaling-harness.",
    }


def schema_text() -> str:
    """The schema as it is published in suites/suite.schema.json."""
    # Pydantic's versions differ in writing 0 or 0.0; the canonical text has one way.
    schema = json.loads(canonical_json(suite_schema()))
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def known_keys(path: Sequence[str | int]) -> dict[str, str]:
    """The keys that may stand in the mapping at a key path, each with its description."""
    schema = suite_schema()
    node: Any = schema
    for part in path:
        node = _open(node, schema)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            named = node.get("patternProperties", {}).values()
            others = next(iter(named), node.get("additionalProperties", {}))
            node = node.get("properties", {}).get(part, others)
    properties = _open(node, schema).get("properties", {})
    return {key: entry.get("description", "") for key, entry in properties.items()}


def _or_template(entry: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {k: entry[k] for k in ("description", "default") if k in entry}
    rest = {key: value for key, value in entry.items() if key not in kept and key != "title"}
    options = rest["anyOf"] if set(rest) == {"anyOf"} else [rest]
    return {**kept, "anyOf": [*options, _TEMPLATE]}


def _open(node: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references and take the first option that is a mapping or a list."""
    if not isinstance(node, dict):
        return {}
    if "$ref" in node:
        return _open(schema["$defs"][node["$ref"].removeprefix("#/$defs/")], schema)
    for option in node.get("anyOf", ()):
        opened = _open(option, schema)
        if "properties" in opened or "items" in opened:
            return opened
    return node
