"""Decodes records of `spans` with OpenTelemetry's own classes: decode.py < records > spans

A record a line in base64; a span a line in JSON, with its resource and scope, in the words of OTLP/JSON.
Exits 1 at a record that is no TracesData, or that has a field which opentelemetry-proto does not know.
"""

import base64
import json
import math
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData


def double_of(value: float) -> float | str:
    """JSON has no words for these."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "-0" if value == 0 and math.copysign(1, value) < 0 else value


def value_of(value) -> dict:
    kind = value.WhichOneof("value")
    if kind is None:
        return {}
    held = getattr(value, kind)
    if kind == "string_value":
        return {"stringValue": held}
    if kind == "bool_value":
        return {"boolValue": held}
    if kind == "int_value":
        return {"intValue": str(held)}
    if kind == "double_value":
        return {"doubleValue": double_of(held)}
    if kind == "bytes_value":
        return {"bytesValue": base64.b64encode(held).decode()}
    if kind == "array_value":
        return {"arrayValue": {"values": [value_of(one) for one in held.values]}}
    return {"kvlistValue": {"values": attributes_of(held.values)}}


def attributes_of(attributes) -> list:
    return [{"key": one.key, "value": value_of(one.value)} for one in attributes]


def span_of(resource, scope, span) -> dict:
    return {
        "resource": attributes_of(resource.attributes),
        "scope": [scope.name, scope.version, attributes_of(scope.attributes)],
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "traceState": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "times": [str(span.start_time_unix_nano), str(span.end_time_unix_nano)],
        "attributes": attributes_of(span.attributes),
        "events": [
            [event.name, str(event.time_unix_nano), attributes_of(event.attributes)]
            for event in span.events
        ],
        "links": [
            [link.trace_id.hex(), link.span_id.hex(), attributes_of(link.attributes)]
            for link in span.links
        ],
        "status": [span.status.code, span.status.message],
    }


def known(message, where: str) -> None:
    if len(UnknownFieldSet(message)) > 0:
        sys.exit(f"{where} has fields that opentelemetry-proto does not know")


for number, line in enumerate(sys.stdin):
    data = TracesData.FromString(base64.b64decode(line))
    known(data, f"record {number}")
    for of_resource in data.resource_spans:
        known(of_resource, f"record {number}: resource_spans")
        for of_scope in of_resource.scope_spans:
            known(of_scope, f"record {number}: scope_spans")
            for span in of_scope.spans:
                known(span, f"record {number}: a span")
                print(json.dumps(span_of(of_resource.resource, of_scope.scope, span)))
