"""Writes trace.pb, logs.pb and metrics.pb beside the JSON files, with Google's protobuf library.

An encoder that shares nothing with ours: pip install opentelemetry-proto, then python encode.py
"""

import base64
import json
import pathlib

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ID_FIELDS = {"traceId", "spanId", "parentSpanId"}


def proto_json(value):
    """OTLP/JSON has ids as hex; protobuf's own JSON has them as base64."""
    if isinstance(value, list):
        return [proto_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode()
        if key in ID_FIELDS
        else proto_json(item)
        for key, item in value.items()
    }


folder = pathlib.Path(__file__).parent
for name, message in [
    ("trace", ExportTraceServiceRequest()),
    ("logs", ExportLogsServiceRequest()),
    ("metrics", ExportMetricsServiceRequest()),
]:
    data = json.loads((folder / f"{name}.json").read_text())
    json_format.ParseDict(proto_json(data), message)
    (folder / f"{name}.pb").write_bytes(message.SerializeToString())
