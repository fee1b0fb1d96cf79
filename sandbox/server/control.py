"""The control interface: organisations, tokens, raw resources, seeding, behaviour, the request log."""

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.seed.organisations import build
from sandbox.server.behaviour import Behaviour, InvalidBehaviourError, read_behaviour
from sandbox.server.identifiers import NEW_ID
from sandbox.server.store import DEFAULT_USER, UnknownTypeError
from sandbox.server.tokens import DEFAULT_TTL_S

if TYPE_CHECKING:
    from sandbox.server.sandbox import Sandbox

_RESETS = ("requests", "behaviour", "resources", "all")


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json() if await request.body() else {}
    except ValueError:
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise HTTPException(400, f"{name} is required")
    return value


async def _refuse(_request: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 400
    detail = problem.detail if isinstance(problem, HTTPException) else str(problem)
    return JSONResponse({"error": detail}, status)


class _Control:
    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ready", "validate": self._sandbox.validator is not None})

    async def key_set(self, _request: Request) -> Response:
        return JSONResponse(self._sandbox.tokens.key_set())

    async def make_organisation(self, request: Request) -> Response:
        body = await _body(request)
        org_id = body.get("org_id") or str(int(NEW_ID["uuid"]()[:8], 16))
        organisation = self._sandbox.store.organisation(org_id, body.get("name"))
        return JSONResponse({"org_id": organisation.id, "name": organisation.name}, 201)

    async def make_token(self, request: Request) -> Response:
        body = await _body(request)
        ttl_s = body.get("ttl_s", DEFAULT_TTL_S)
        if not isinstance(ttl_s, int):
            raise HTTPException(400, "ttl_s must be an integer")
        user_id = body.get("user_id") or DEFAULT_USER
        token = self._sandbox.tokens.sign(_text(body, "org_id"), user_id, ttl_s)
        return JSONResponse({"token": token, "user_id": user_id}, 201)

    async def load_resources(self, request: Request) -> Response:
        org_id, body = request.path_params["org_id"], await _body(request)
        resources = body.get("resources")
        if not isinstance(resources, list):
            raise HTTPException(400, "resources must be an array of {type, payload}")
        for resource in resources:
            try:
                self._sandbox.store.load(org_id, resource["type"], resource["payload"])
            except (KeyError, TypeError) as problem:
                raise HTTPException(400, f"a resource needs a type and a payload with its id: {problem}") from None
        return JSONResponse({"loaded": len(resources)}, 201)

    async def dump_resources(self, request: Request) -> Response:
        resources = self._sandbox.store.dump(request.path_params["org_id"], request.query_params.get("type"))
        return JSONResponse({"resources": resources})

    async def seed(self, request: Request) -> Response:
        body = await _body(request)
        source_id, target_id = _text(body, "source_org_id"), _text(body, "target_org_id")
        seeded = await run_in_threadpool(build, source_id, target_id, body.get("scale", 1), body.get("seed", 1))
        for org_id, resources in ((source_id, seeded.source), (target_id, seeded.target)):
            for resource in resources:
                self._sandbox.store.load(org_id, resource.type, resource.payload)
        return JSONResponse({"selections": seeded.selections}, 201)

    async def set_behaviour(self, request: Request) -> Response:
        self._sandbox.behave(read_behaviour(await _body(request)))
        return JSONResponse({"status": "set"})

    async def requests(self, request: Request) -> Response:
        query = request.query_params
        try:
            limit = int(query["limit"]) if "limit" in query else None
            since = float(query.get("since", 0))
        except ValueError:
            raise HTTPException(400, "limit and since must be numbers") from None
        log = self._sandbox.log
        return JSONResponse({"summary": log.summary(), "requests": log.entries(limit, since, query.get("org_id"))})

    async def violations(self, _request: Request) -> Response:
        validator = self._sandbox.validator
        if validator is None:
            return JSONResponse({"violations": [], "relaxed": []})
        return JSONResponse({"violations": validator.violations, "relaxed": validator.relaxed()})

    async def reset(self, request: Request) -> Response:
        what = (await _body(request)).get("what", "all")
        if what not in _RESETS:
            raise HTTPException(400, f"what must be one of {', '.join(_RESETS)}")
        sandbox = self._sandbox
        if what in ("requests", "all"):
            sandbox.log.clear()
        if what == "all" and sandbox.validator is not None:
            sandbox.validator.violations.clear()
        if what in ("behaviour", "all"):
            sandbox.behave(Behaviour())
        if what in ("resources", "all"):
            sandbox.store.clear()
        return JSONResponse({"reset": what})


def build_control(sandbox: "Sandbox") -> Starlette:
    """Return the application that serves ``/_sandbox``."""
    control = _Control(sandbox)
    table = (
        ("GET", "/health", control.health),
        ("GET", "/jwks.json", control.key_set),
        ("POST", "/orgs", control.make_organisation),
        ("POST", "/tokens", control.make_token),
        ("POST", "/orgs/{org_id}/resources", control.load_resources),
        ("GET", "/orgs/{org_id}/resources", control.dump_resources),
        ("POST", "/seed", control.seed),
        ("PUT", "/behaviour", control.set_behaviour),
        ("GET", "/requests", control.requests),
        ("GET", "/violations", control.violations),
        ("POST", "/reset", control.reset),
    )
    return Starlette(
        routes=[Route(f"/_sandbox{path}", endpoint, methods=[method]) for method, path, endpoint in table],
        exception_handlers={
            HTTPException: _refuse,
            UnknownTypeError: _refuse,
            InvalidBehaviourError: _refuse,
        },
    )
