"""Presidio's analyzer behind the REST call of its own server: analyzer.py PORT NAME...

POST /analyze takes {text, language, entities, score_threshold}, text being one or a list, and answers what Presidio
found, a list for each. It knows the names it was given, as PERSON, by a deny list: no model is loaded. Prints the
port that it listens on (PORT 0: a free one), and ends when its input does.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    AnalyzerRequest,
    BatchAnalyzerEngine,
    PatternRecognizer,
    RecognizerRegistry,
)
from presidio_analyzer.nlp_engine import SpacyNlpEngine


class WordsAlone(SpacyNlpEngine):
    """A tokenizer, which needs no model."""

    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}

    def is_loaded(self) -> bool:
        return True


def engine_of(names: list[str]) -> BatchAnalyzerEngine:
    registry = RecognizerRegistry(supported_languages=["en"])
    known = PatternRecognizer(supported_entity="PERSON", deny_list=names, name="Names")
    registry.add_recognizer(known)
    return BatchAnalyzerEngine(
        AnalyzerEngine(registry=registry, nlp_engine=WordsAlone(), supported_languages=["en"])
    )


def answer_of(engine: BatchAnalyzerEngine, body: dict) -> list:
    asked = AnalyzerRequest(body)
    is_list = isinstance(asked.text, list)
    texts = asked.text if is_list else [asked.text]
    # Raises for a language that nobody knows, as the server of Presidio does.
    engine.analyzer_engine.get_supported_entities(asked.language)
    found = engine.analyze_iterator(
        texts=texts,
        language=asked.language,
        batch_size=len(texts),
        entities=asked.entities,
        score_threshold=asked.score_threshold,
    )
    lists = [[one.to_dict() for one in of_text] for of_text in found]
    return lists if is_list else lists[0]


def handler_of(engine: BatchAnalyzerEngine) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                status, answer = 200, answer_of(engine, json.loads(body))
            except Exception as error:
                status, answer = 500, {"error": str(error)}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


def main() -> None:
    port, names = int(sys.argv[1]), sys.argv[2:]
    server = ThreadingHTTPServer(("127.0.0.1", port), handler_of(engine_of(names)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


main()
