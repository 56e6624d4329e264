"""Checks an object against its schema, strictly: a field the schema does not name is an error.

Ray's kinds against their CRD, by `problems`; Kubernetes' own by the package kubernetes-validate. Not checked: rules in
CEL (`x-kubernetes-validations`) and what only an API server knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

KUBERNETES = "1.34"
# Of the Prometheus Operator's and Kueue's CRDs, which are not here.
FOREIGN = {
    ("monitoring.coreos.com/v1", "PodMonitor"),
    *(
        ("kueue.x-k8s.io/v1beta2", kind)
        for kind in ("ResourceFlavor", "ClusterQueue", "LocalQueue")
    ),
}
# What the schemas say that decides nothing here; any other word must be known to `problems`.
SILENT = {
    *("description", "x-kubernetes-map-type", "x-kubernetes-list-type", "x-kubernetes-validations"),
    "default",
}
KNOWN = SILENT | {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "pattern"),
    *("format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "nullable"),
    *("anyOf", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"),
    *("x-kubernetes-list-map-keys", "x-kubernetes-embedded-resource"),
}
BITS = {"int32": 31, "int64": 63}
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
# The CRD says "object" of metadata; the API server knows these.
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
METADATA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "maxLength": 253},
        "namespace": {"type": "string"},
        "labels": STRINGS,
        "annotations": STRINGS,
    },
}

Schemas = dict[tuple[str, str], dict[str, Any]]


def load_schemas(folder: Path) -> Schemas:
    """Schemas of the CRDs in `folder`, by (apiVersion, kind); only versions that are served."""
    found: Schemas = {}
    for path in sorted(folder.glob("*.yaml")):
        crd = yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for version in crd["spec"]["versions"]:
            if version["served"] and not version.get("deprecated"):
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["metadata"] = METADATA
                key = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
                found[key] = schema
    return found


def wrong(document: dict[str, Any], schemas: Schemas) -> list[str]:
    """Everything that is wrong with an object of Ray's, or the first thing with one of Kubernetes'."""
    key = document["apiVersion"], document["kind"]
    if key[0].startswith("ray.io/"):
        return list(problems(document, schemas[key]))
    if key not in FOREIGN:
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    return []


def problems(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Everything that is wrong with `value`, each as `path: what`."""
    strange = schema.keys() - KNOWN
    assert not strange, f"{path}: the schema says {sorted(strange)}, which this check does not know"
    where = path or "<object>"
    if value is None:
        if not schema.get("nullable"):
            yield f"{where}: null"
        return
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{where}: expected an integer or a string, not {value!r}"
        elif "pattern" in schema and not re.search(schema["pattern"], str(value)):
            yield f"{where}: {value!r} does not match {schema['pattern']}"
        return
    assert "anyOf" not in schema, f"{path}: anyOf of something else than integer or string"
    expected = schema.get("type")
    if expected is not None and not _is_a(value, expected):
        yield f"{where}: expected {expected}, not {value!r}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    if isinstance(value, dict):
        yield from _of_object(value, schema, path)
    elif isinstance(value, list):
        yield from _of_list(value, schema, path)
    elif isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{where}: {value!r} does not match {schema['pattern']}"
        yield from _within(len(value), schema, "Length", f"{where}: length")
    elif not isinstance(value, bool):
        bits = BITS.get(schema.get("format", ""))
        if bits is not None and not -(2**bits) <= value < 2**bits:
            yield f"{where}: {value} is no {schema['format']}"
        yield from _within(value, schema, "imum", where)


def _is_a(value: Any, expected: str) -> bool:
    if isinstance(value, bool):
        return expected == "boolean"
    types: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": int | float,
        "boolean": bool,
    }
    return isinstance(value, types[expected])


def _within(number: float, schema: dict[str, Any], bound: str, what: str) -> Iterator[str]:
    if number < schema.get(f"min{bound}", number):
        yield f"{what}: {number} is below {schema[f'min{bound}']}"
    if number > schema.get(f"max{bound}", number):
        yield f"{what}: {number} is above {schema[f'max{bound}']}"


def _of_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    named = schema.get("properties", {})
    others = schema.get("additionalProperties")
    if schema.get("x-kubernetes-embedded-resource"):
        named = {"apiVersion": {}, "kind": {}, "metadata": {}, **named}
    for key in schema.get("required", []):
        # The API server fills in defaults before it looks at what is required.
        if key not in value and "default" not in named.get(key, {}):
            yield f"{path}.{key}: missing"
    for key, inner in value.items():
        here = f"{path}.{key}"
        if not isinstance(key, str):
            yield f"{here}: a key must be a string"
        elif key in named:
            yield from problems(inner, named[key], here)
        elif isinstance(others, dict):
            yield from problems(inner, others, here)
        elif not (others or schema.get("x-kubernetes-preserve-unknown-fields")):
            yield f"{here}: no such field"


def _of_list(value: list[Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    yield from _within(len(value), schema, "Items", f"{path}: number of items")
    for row, item in enumerate(value):
        yield from problems(item, schema["items"], f"{path}[{row}]")
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys and all(isinstance(item, dict) for item in value):
        of_item = schema["items"]["properties"]
        seen = [tuple(i.get(k, of_item[k].get("default")) for k in keys) for i in value]
        for twice in sorted({str(key) for key in seen if seen.count(key) > 1}):
            yield f"{path}: {keys} {twice} comes twice"
