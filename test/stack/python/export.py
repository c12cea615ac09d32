"""Sends one trace with an OpenTelemetry exporter and prints what it sent: export.py PROTOCOL ENDPOINT COUNT

PROTOCOL is grpc or http/protobuf; API_KEY, where it is set, goes along as x-api-key. Exits 1 when the
exporter gave up.
"""

import json
import os
import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def exporter_of(protocol: str, endpoint: str, compressed: bool) -> SpanExporter:
    key = os.environ.get("API_KEY")
    headers = {"x-api-key": key} if key else {}
    if protocol == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(
            endpoint=endpoint,
            insecure=True,
            headers=tuple(headers.items()),
            compression=Compression.Gzip if compressed else Compression.NoCompression,
        )
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(
        endpoint=endpoint,
        headers=headers,
        compression=Compression.Gzip if compressed else Compression.NoCompression,
    )


def main() -> int:
    protocol, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    compressed = os.environ.get("GZIP") == "1"
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "refund-bot"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("refund-bot-tracer", "1.4.0")
    with tracer.start_as_current_span("refund_chat.turn", kind=trace.SpanKind.SERVER) as root:
        for number in range(1, count):
            attributes = {"text": "ünïcode 🙂", "int": 2**40, "double": 0.1, "list": ["a", "b"]}
            links = [trace.Link(root.get_span_context(), {"why": "retry"})]
            with tracer.start_as_current_span(
                f"step {number}", kind=trace.SpanKind.CLIENT, attributes=attributes, links=links
            ) as span:
                span.add_event("gen_ai.choice", {"index": number})
                span.set_status(trace.Status(trace.StatusCode.ERROR, "tool failed"))
    spans = memory.get_finished_spans()
    exporter = exporter_of(protocol, endpoint, compressed)
    result = exporter.export(spans)
    exporter.shutdown()
    ids = [format(span.context.span_id, "016x") for span in spans]
    print(json.dumps({"result": result.name, "spanIds": ids}))
    return 0 if result.name == "SUCCESS" else 1


sys.exit(main())
