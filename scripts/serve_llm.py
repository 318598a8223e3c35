"""Serve a model of `transformers`, tuned or not, at /v1/chat/completions on this machine alone.

For trying and for tests: one request at a time, greedy, no schemas. Use vLLM or llama.cpp for more.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.tuning import RECORD, load_causal


def main(
    model: Annotated[str, typer.Argument(help="A model, or a folder of `clinner tune`")],
    port: Annotated[int, typer.Option(help="0 for any that is free")] = 8000,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Serve MODEL until it is interrupted."""
    server = make_server(model, port, "cpu" if gpu_id < 0 else f"cuda:{gpu_id}")
    typer.echo(f"✔ {model} at http://127.0.0.1:{server.server_port}/v1")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def make_server(model: str, port: int = 0, device: str = "cpu") -> ThreadingHTTPServer:
    """A server of a model; `serve_forever` starts it."""
    writer = Writer(model, device)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(writer.complete(body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests hold notes."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


class Writer:
    """A model that completes chats.

    model (str): A model, or a folder with an adapter and the name of its model.
    """

    def __init__(self, model: str, device: str) -> None:
        record = Path(model) / RECORD
        base = json.loads(record.read_text(encoding="utf8"))["model"] if record.is_file() else model
        self.tokenizer, self.model = load_causal(base, device)
        if base != model:
            from peft import PeftModel
            from transformers import AutoTokenizer

            self.tokenizer = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
            self.model = PeftModel.from_pretrained(self.model, model)
        self.model.eval()
        self.device = device
        self._lock = threading.Lock()

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a request of the chat protocol."""
        import torch

        if not isinstance(body.get("messages"), list):
            raise ClinnerError("a request needs messages.")
        text = self.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True
        )
        inputs = self.tokenizer(text, add_special_tokens=False, return_tensors="pt")
        most = int(body.get("max_tokens") or 256)
        with self._lock, torch.inference_mode():
            out = self.model.generate(
                **{name: inputs[name].to(self.device) for name in ("input_ids", "attention_mask")},
                max_new_tokens=most,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        asked = inputs["input_ids"].shape[1]
        written = out[0][asked:]
        ended = len(written) > 0 and int(written[-1]) == self.tokenizer.eos_token_id
        content = self.tokenizer.decode(written, skip_special_tokens=True)
        return {
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "finish_reason": "stop" if ended else "length",
                }
            ],
            "usage": {"prompt_tokens": asked, "completion_tokens": len(written)},
        }


if __name__ == "__main__":
    run(main)
