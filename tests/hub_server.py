"""A Hugging Face Hub on 127.0.0.1: what its unmodified client needs to publish and to load, and faults on demand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import uvicorn
import yaml
from hub_repos import Fault, RefusedError, Repo, entry, is_large
from hub_xet import XetStore
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

DATE = "2026-01-01T00:00:00.000Z"


class Hub:
    """The server's state, and its answers.

    Args:
        xet: The store for clients that have xet on; without one, the Hub has plain LFS alone.
    """

    def __init__(self, xet: XetStore | None = None) -> None:
        self.xet = xet
        self.repos: dict[str, Repo] = {}
        self.tokens = {"hf_writer": "zoo", "hf_reader": "somebody"}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.secret = secrets.token_bytes(16)
        self.url = ""

    # ---- plumbing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = re.sub("^https?://[^/]+", "", scope["raw_path"].decode()).partition("?")[
            0
        ]  # a proxy is asked for all of it
        line = f"{request.method} {path}"
        self.requests.append(line)
        fault = next((fault for fault in self.faults if fault.times > 0 and re.search(fault.path, line)), None)
        if fault is not None:
            fault.times -= 1
        if fault is not None and isinstance(fault.kind, int):
            await JSONResponse({"error": "a fault"}, fault.kind, fault.headers)(scope, receive, send)
            return
        if fault is not None and fault.kind in ("page", "portal"):
            page = HTMLResponse("<html>Welcome! Please log in.</html>")
            await (page if fault.kind == "page" else RedirectResponse("/login"))(scope, receive, send)
            return
        try:
            response = await self.answer(request, path)
        except RefusedError as error:
            response = JSONResponse(error.more, error.status, error.headers)
        await self.send(response, fault, scope, receive, send)

    async def send(self, response: Response, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> None:
        if fault is None or scope["method"] != "GET":
            await response(scope, receive, send)
            return
        body = bytearray(response.body)
        if fault.kind == "flip":
            body[len(body) // 2] ^= 1
        head = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        await send(head)
        half = len(body) // 2
        await send({"type": "http.response.body", "body": bytes(body[:half]), "more_body": True})
        if fault.kind == "drop":
            return  # fewer bytes than the header says: uvicorn closes the connection
        if fault.kind == "slow":
            await asyncio.sleep(5)
        await send({"type": "http.response.body", "body": bytes(body[half:]), "more_body": False})

    async def answer(self, request: Request, path: str) -> Response:
        for method, form, handler in ROUTES:
            found = re.fullmatch(form, path)
            if found and request.method in method.split():
                return await handler(self, request, *map(unquote, found.groups()))
        return JSONResponse({"error": f"no route {request.method} {path}"}, 404)

    def user(self, request: Request) -> str | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return self.tokens.get(token)

    def repo(self, request: Request, name: str, write: bool = False, content: bool = True) -> Repo:
        user, found = self.user(request), self.repos.get(name)
        mine = user == name.split("/")[0]
        if found is None or (found.private and not mine):
            raise RefusedError(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not mine:
            raise RefusedError(403 if user else 401, "You have no right to write here")
        if content and found.gated and not mine:
            raise RefusedError(403 if user else 401, f"Access to model {name} is restricted", "GatedRepo")
        return found

    # ---- repositories

    async def root(self, request: Request) -> Response:
        return Response("a hub")

    async def login(self, request: Request) -> Response:
        return HTMLResponse("<html>Welcome! Please log in.</html>")

    async def whoami(self, request: Request) -> Response:
        user = self.user(request)
        if user is None:
            raise RefusedError(401, "Invalid user token.")
        return JSONResponse({"name": user, "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    async def create(self, request: Request) -> Response:
        wanted = await request.json()
        user = self.user(request)
        if user is None or user != (wanted.get("organization") or user):
            raise RefusedError(403 if user else 401, "You don't have the rights to create a model under this namespace")
        name = f"{user}/{wanted['name']}"
        if name in self.repos:
            raise RefusedError(409, "You already created this model repo", url=f"{self.url}/{name}")
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.repos[name] = Repo(name, private)
        self.repos[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        return JSONResponse({"url": f"{self.url}/{name}"})

    async def validate_yaml(self, request: Request) -> Response:
        content = (await request.json())["content"]
        block = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        try:
            data = yaml.safe_load(block[1]) if block else {}
        except yaml.YAMLError:
            data = None
        if not isinstance(data, dict):
            return JSONResponse({"errors": [{"message": "YAML is not a mapping"}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    async def info(self, request: Request, name: str, revision: str = "main") -> Response:
        repo = self.repo(request, name, content=False)
        return JSONResponse(self.describe(repo, repo.find(revision)))

    def describe(self, repo: Repo, sha: str) -> dict[str, Any]:
        return {
            **{"id": repo.name, "sha": sha, "private": repo.private, "gated": "auto" if repo.gated else False},
            **{"tags": [], "createdAt": DATE, "lastModified": DATE},
            "siblings": [{"rfilename": path} for path in repo.commits[sha]],
        }

    async def models(self, request: Request) -> Response:
        user, author = self.user(request), request.query_params.get("author")
        shown = [repo for repo in self.repos.values() if author in (None, repo.name.split("/")[0])]
        visible = [repo for repo in shown if not repo.private or user == repo.name.split("/")[0]]
        return JSONResponse([self.describe(repo, repo.refs["main"]) for repo in visible])

    async def refs(self, request: Request, name: str) -> Response:
        repo = self.repo(request, name)
        kinds = {"branches": ("heads", repo.refs), "tags": ("tags", repo.tags)}
        listed = {
            kind: [{"name": name, "ref": f"refs/{short}/{name}", "targetCommit": sha} for name, sha in names.items()]
            for kind, (short, names) in kinds.items()
        }
        return JSONResponse({**listed, "converts": []})

    async def tag(self, request: Request, name: str, revision: str) -> Response:
        repo, wanted = self.repo(request, name, write=True), await request.json()
        if wanted["tag"] in repo.tags:
            raise RefusedError(409, "Tag reference exists already")
        repo.tags[wanted["tag"]] = repo.find(revision)
        return JSONResponse({})

    async def tree(self, request: Request, name: str, revision: str) -> Response:
        repo = self.repo(request, name)
        return JSONResponse([entry(*item) for item in repo.commits[repo.find(revision)].items()])

    async def paths_info(self, request: Request, name: str, revision: str) -> Response:
        repo, form = self.repo(request, name), parse_qs((await request.body()).decode())
        files = repo.commits[repo.find(revision)]
        return JSONResponse([entry(path, files[path]) for path in form["paths"] if path in files])

    # ---- upload

    async def preupload(self, request: Request, name: str, revision: str) -> Response:
        repo, wanted = self.repo(request, name, write=True), await request.json()
        files = repo.commits[repo.find(revision)]
        answers = []
        for file in wanted["files"]:
            path, large = file["path"], is_large(file["path"])
            answers.append({"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False})
            if path in files:
                found = entry(path, files[path])
                answers[-1]["oid"] = found["lfs"]["oid"] if large else found["oid"]
        return JSONResponse({"files": answers})

    def sign(self, oid: str) -> str:
        return hmac.new(self.secret, oid.encode(), "sha256").hexdigest()

    async def lfs_batch(self, request: Request, name: str) -> Response:
        self.repo(request, name, write=True)
        objects = []
        for wanted in (await request.json())["objects"]:
            oid = wanted["oid"]
            upload = {"upload": {"href": f"{self.url}/lfs/{oid}/{self.sign(oid)}"}}
            objects.append({**wanted, **({} if oid in self.objects else {"actions": upload})})
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    async def lfs_put(self, request: Request, oid: str, signature: str) -> Response:
        assert "authorization" not in request.headers
        body = await request.body()
        if not hmac.compare_digest(signature, self.sign(oid)) or hashlib.sha256(body).hexdigest() != oid:
            raise RefusedError(403, "not what was announced")
        self.objects[oid] = body
        return Response()

    async def xet_token(self, request: Request, name: str, right: str, revision: str) -> Response:
        self.repo(request, name, write=right == "write").find(revision)
        if self.xet is None:
            raise RefusedError(404, "this hub has no xet")
        token = self.xet.token()
        headers = {"casUrl": "X-Xet-Cas-Url", "accessToken": "X-Xet-Access-Token", "exp": "X-Xet-Token-Expiration"}
        return JSONResponse({**token, "exp": int(token["exp"])}, 200, {headers[key]: token[key] for key in token})

    def stored(self, oid: str) -> bytes | None:
        """A large file by its sha256, whichever way it was uploaded."""
        if oid not in self.objects and self.xet is not None and oid in (contents := self.xet.contents()):
            self.objects[oid] = self.xet.read(contents[oid])
        return self.objects.get(oid)

    async def commit(self, request: Request, name: str, revision: str) -> Response:
        repo = self.repo(request, name, write=True)
        head, title = repo.find(revision), ""
        files = dict(repo.commits[head])
        for line in (await request.body()).splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, head):
                    raise RefusedError(412, "A commit has happened since")
            elif step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                content = self.stored(value["oid"])
                if content is None:
                    raise RefusedError(400, f"{value['path']} was not uploaded")
                files[value["path"]] = content
            else:
                assert step["key"] == "deletedFile", step
                del files[value["path"]]
        sha = repo.commit(files, title)
        return JSONResponse({"commitUrl": f"{self.url}/{name}/commit/{sha}", "commitOid": sha})

    # ---- download

    async def resolve(self, request: Request, name: str, revision: str, path: str) -> Response:
        repo = self.repo(request, name)
        sha = repo.find(revision)
        if path not in repo.commits[sha]:
            error = RefusedError(404, "Entry not found", "EntryNotFound")
            error.headers["X-Repo-Commit"] = sha
            raise error
        content = repo.commits[sha][path]
        found = entry(path, content)
        oid = found["lfs"]["oid"] if is_large(path) else found["oid"]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        if is_large(path):
            headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        if self.xet is not None and oid in (contents := self.xet.contents()):
            route = f"{self.url}/api/models/{name}/xet-read-token/{sha}"
            headers |= {"X-Xet-Hash": contents[oid].hash, "Link": f'<{route}>; rel="xet-auth"'}
        part = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        if part:
            begin = int(part[1])
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            return Response(content[begin:], 206, headers)
        if request.method == "HEAD":
            return Response(None, 200, {**headers, "Content-Length": str(len(content))})
        return Response(content, 200, headers)


Handler = Callable[..., Awaitable[Response]]
_ID = r"([^/]+/[^/]+?)"
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET HEAD", "/", Hub.root),
    ("GET HEAD", "/login", Hub.login),
    ("GET", "/api/whoami-v2", Hub.whoami),
    ("POST", "/api/repos/create", Hub.create),
    ("POST", "/api/validate-yaml", Hub.validate_yaml),
    ("GET", "/api/models", Hub.models),
    ("GET", f"/api/models/{_ID}", Hub.info),
    ("GET", f"/api/models/{_ID}/revision/([^/]+)", Hub.info),
    ("GET", f"/api/models/{_ID}/refs", Hub.refs),
    ("GET", f"/api/models/{_ID}/tree/([^/]+)", Hub.tree),
    ("POST", f"/api/models/{_ID}/paths-info/([^/]+)", Hub.paths_info),
    ("POST", f"/api/models/{_ID}/tag/([^/]+)", Hub.tag),
    ("POST", f"/api/models/{_ID}/preupload/([^/]+)", Hub.preupload),
    ("POST", f"/api/models/{_ID}/commit/([^/]+)", Hub.commit),
    ("GET", f"/api/models/{_ID}/xet-(read|write)-token/([^/]+)", Hub.xet_token),
    ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", Hub.lfs_batch),
    ("PUT", "/lfs/([0-9a-f]{64})/([0-9a-f]{64})", Hub.lfs_put),
    ("GET HEAD", f"/{_ID}/resolve/([^/]+)/(.+)", Hub.resolve),
]


@contextmanager
def connected(monkeypatch: pytest.MonkeyPatch, folder: Path, xet: XetStore | None = None) -> Iterator[Hub]:
    """Run a hub and point this process's client at it, with a cache of its own and no token but one that is set.

    The client reads its settings when it is imported, so they are set in its module; processes that a test starts
    take them from the environment.

    Args:
        monkeypatch: Takes the settings back.
        folder: The client's home.
        xet: As in ``Hub``; with one, the client has xet on, as it has for everybody who changes nothing.
    """
    with serving(xet) as hub:
        settings = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_TOKEN_PATH": str(folder / "token"),
            "HF_HUB_DISABLE_XET": xet is None,
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
        }
        for name, value in settings.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        # Version 0.36 has a copy there.
        template = settings["HUGGINGFACE_CO_URL_TEMPLATE"]
        monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder),
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_HUB_DISABLE_XET": str(int(xet is None)),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield hub


@contextmanager
def serving(xet: XetStore | None = None) -> Iterator[Hub]:
    """Run a hub on 127.0.0.1 for as long as the body takes."""
    hub = Hub(xet)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        hub.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            hub, log_level="critical", http="h11", ws="none", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield hub
        finally:
            server.should_exit = server.force_exit = True  # without waiting for connections that are kept open
            thread.join(10)
