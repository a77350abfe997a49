"""Downloads, from a server of the test: resumed, checked, cancelled, and never a half file in the store."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from MedCLIPSAMLib.engine.errors import Cancelled, ModelError
from MedCLIPSAMLib.engine.models import download
from MedCLIPSAMLib.engine.models.catalogue import find_entry, shipped
from MedCLIPSAMLib.engine.models.store import Store

from ..localize import rivals
from ..localize.rivals import rival

CONTENT = bytes(range(256)) * 120_000  # more than the hub's library reads at once


class Server(ThreadingHTTPServer):
    """Serves files by the last part of their address, as a web server and as the Hugging Face hub."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None  # bytes until the connection is cut, once
        self.sent: list[tuple[str, int]] = []  # names, and where each answer began

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        body = content[first:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if with_body:
            self.server.sent.append((name, first))
            until, self.server.break_after = self.server.break_after, None
            self.wfile.write(body[:until])
            if until is not None:
                self.connection.close()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", made.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield made
    made.shutdown()


@pytest.fixture
def sam(server, monkeypatch) -> str:
    """SAM ViT-B, published by the server."""
    name, file = "sam-vit-b", "sam_vit_b_01ec64.pth"
    server.files[file] = CONTENT
    checksum = {file: hashlib.sha256(CONTENT).hexdigest()}
    entry = replace(find_entry(name), url=f"{server.address}/{file}", sha256=checksum, megabytes=30)
    monkeypatch.setitem(shipped(), name, entry)
    return name


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.folders[0].iterdir() if not path.name.startswith(".lock-"))


def test_a_file_is_fetched_and_told_of(sam):
    store, told = Store(), []
    assert download.download_model(sam, store, lambda here, total: told.append((here, total))).name == sam
    assert store.weights_file(sam).read_bytes() == CONTENT
    assert names(store) == [sam]
    assert told == sorted(told)
    assert told[-1] == (30_000_000, 30_000_000)
    store.verify(sam)


def test_a_download_goes_on_where_it_was_cancelled(sam, server):
    store, here = Store(), 0

    def progress(count: int, total: int) -> None:
        nonlocal here
        here = count

    with pytest.raises(Cancelled, match="download of SAM ViT-B was cancelled"):
        download.download_model(sam, store, progress, lambda: here > 1_000_000)
    assert store.state(find_entry(sam)) == "not installed"
    download.download_model(sam, store)
    assert store.weights_file(sam).read_bytes() == CONTENT
    assert server.sent[-1][1] > 0, "it was not fetched from its beginning again"


def test_a_broken_connection_is_taken_up_again(sam, server):
    server.break_after = 3_000_000
    store = Store()
    download.download_model(sam, store)
    assert store.weights_file(sam).read_bytes() == CONTENT


def test_a_killed_download_goes_on_and_two_do_not_mix(sam, server, model_store, tmp_path):
    store, entry = Store(), find_entry(sam)
    with rival(rivals.download, tmp_path / "reached", model_store, sam, entry.url, entry.sha256[entry.files[0]]):
        with pytest.raises(ModelError, match="Another program is at work on SAM ViT-B"):
            download.download_model(sam, store)
        assert len(server.sent) == 1, "the second did not ask for the file"
    download.download_model(sam, store)
    assert store.weights_file(sam).read_bytes() == CONTENT
    assert server.sent[-1][1] > 0, "it was not fetched from its beginning again"
    assert names(store) == [sam]


def test_what_is_not_the_published_file_is_refused(sam, server):
    server.files["sam_vit_b_01ec64.pth"] = b"another file"
    store = Store()
    for _ in range(2):
        with pytest.raises(ModelError, match=r"is not the published sam_vit_b_01ec64\.pth of SAM ViT-B"):
            download.download_model(sam, store)
        assert store.state(find_entry(sam)) == "not installed"
    server.files["sam_vit_b_01ec64.pth"] = CONTENT
    download.download_model(sam, store)
    assert store.state(find_entry(sam)) == "ready"


def test_a_model_of_the_hub_is_fetched_from_a_mirror(server):
    entry = find_entry("biomedclip")
    server.files = {file: f"{file} content".encode() for file in entry.files}
    server.files["open_clip_config.json"] = json.dumps({"model_cfg": {}}).encode()
    store = Store()
    download.download_model("biomedclip", store)
    assert {file: path.read_bytes() for file, path in store.files("biomedclip").items()} == server.files
    assert names(store) == ["biomedclip"]


def test_what_cannot_be_reached_is_told(server):
    with pytest.raises(ModelError, match="BiomedCLIP cannot be fetched from Hugging Face hub"):
        download.download_model("biomedclip", Store())
    with pytest.raises(ModelError, match="MedSAM ViT-B cannot be downloaded: get it from its authors"):
        download.download_model("medsam-vit-b", Store())
    assert Store().state(find_entry("biomedclip")) == "not installed"
