"""The Hugging Face Hub on loopback: repositories with commits, as huggingface_hub speaks to it."""

import base64
import hashlib
import json
import re

import pytest
from web_server import file, redirect, reply, server_fixture, status  # noqa: F401

TOKEN = "hf_secret"


class Hub:
    """What is stored, and the pages that read and change it.

    Attributes:
        repos: `{"user/repo": [(commit, {file: bytes}), ...]}`, the last commit being `main`.
        private: names of private repositories.
        large: `{sha256: bytes}`, the files that came through LFS.
        stopped: whether everything answers 503.
    """

    def __init__(self, server):
        self.server, self.repos, self.private, self.large = server, {}, set(), {}
        self.stopped = False
        server.find = self.find

    def commit(self, repo, files):
        """Add a commit that changes these files, and return its name."""
        commits = self.repos.setdefault(repo, [])
        now = {**(commits[-1][1] if commits else {}), **files}
        name = hashlib.sha1(repr((repo, len(commits), sorted(now))).encode()).hexdigest()
        commits.append((name, now))
        return name

    def find(self, path):
        if self.stopped:
            return status(503)
        for pattern, page in (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", self.validate),
            (r"/api/models/(\w+/[\w.-]+)/preupload/main", self.preupload),
            (r"/(\w+/[\w.-]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/lfs/(\w+)", self.store),
            (r"/api/models/(\w+/[\w.-]+)/commit/main", self.change),
            (r"/(\w+/[\w.-]+)/resolve/([^/]+)/(.+)", self.resolve),
            (r"/storage/(\w+)", lambda handler, oid: file(self.large[oid])(handler)),
        ):
            if found := re.fullmatch(pattern, path):
                return lambda handler, page=page, found=found: page(handler, *found.groups())
        return status(404)

    def refused(self, handler, repo=None):
        """Answer 401 if the token is not the right one."""
        if handler.headers.get("Authorization") == f"Bearer {TOKEN}":
            return False
        reply({"error": "Invalid credentials"}, 401)(handler)
        return True

    def create(self, handler):
        if self.refused(handler):
            return
        wanted = json.loads(handler.body)
        repo = f"{wanted['organization']}/{wanted['name']}"
        if repo in self.repos:
            reply({"error": "exists", "url": f"{self.server.url}/{repo}"}, 409)(handler)
            return
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.private.add(repo)
        self.commit(repo, {".gitattributes": b"*.h5 filter=lfs\n"})
        reply({"url": f"{self.server.url}/{repo}"})(handler)

    def validate(self, handler):
        content = json.loads(handler.body)["content"]
        good = re.match(r"---\n(.+\n)+---\n", content)
        errors = [] if good else [{"message": "there is no metadata"}]
        reply({"errors": errors, "warnings": []}, 200 if good else 400)(handler)

    def preupload(self, handler, repo):
        if self.refused(handler):
            return
        files = [
            {
                "path": entry["path"],
                "uploadMode": "lfs" if entry["path"].endswith(".h5") else "regular",
                "shouldIgnore": False,
            }
            for entry in json.loads(handler.body)["files"]
        ]
        reply({"files": files})(handler)

    def batch(self, handler, repo):
        objects = [
            {**entry, "actions": {"upload": {"href": f"{self.server.url}/lfs/{entry['oid']}"}}}
            for entry in json.loads(handler.body)["objects"]
        ]
        reply({"transfer": "basic", "objects": objects})(handler)

    def store(self, handler, oid):
        if hashlib.sha256(handler.body).hexdigest() == oid:
            self.large[oid] = handler.body
        reply({}, 200 if oid in self.large else 400)(handler)

    def change(self, handler, repo):
        if self.refused(handler):
            return
        files = {}
        for line in handler.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
        name = self.commit(repo, files)
        url = f"{self.server.url}/{repo}/commit/{name}"
        reply({"success": True, "commitUrl": url, "commitOid": name})(handler)

    def resolve(self, handler, repo, revision, path):
        if repo not in self.repos or (repo in self.private and self.refused(handler)):
            if repo not in self.repos:
                reply({"error": "x"}, 404, X_Error_Code="RepoNotFound")(handler)
            return
        commits = dict(self.repos[repo])
        revision = list(commits)[-1] if revision == "main" else revision
        if revision not in commits:
            reply({"error": "x"}, 404, X_Error_Code="RevisionNotFound")(handler)
        elif path not in commits[revision]:
            answer = reply({}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=revision)
            answer(handler)
        else:
            body = commits[revision][path]
            oid = hashlib.sha256(body).hexdigest()
            about = {"X_Repo_Commit": revision, "X_Linked_Size": len(body)}
            if oid in self.large:
                there = f"http://localhost:{self.server.server_port}/storage/{oid}"
                status(302, b"", Location=there, X_Linked_Etag=f'"{oid}"', **about)(handler)
            else:
                file(body, **about)(handler)


@pytest.fixture(name="hub")
def hub_fixture(server, tmp_path, monkeypatch):
    """A Hub that huggingface_hub talks to over plain HTTP, with an empty cache."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return Hub(server)
