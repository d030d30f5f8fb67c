"""An API guarded by keycardai-starlette 0.14, served by uvicorn in a thread of its own."""

import threading
import time

import uvicorn
from keycardai.oauth.server import AccessContext
from keycardai.oauth.server.credentials import ClientSecret
from keycardai.starlette import AuthProvider, requires
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def serve(port, *, zone_url, audience, own=None, beyond=None):
    """The address of the API. `own` are the secret of its application, `beyond` is what it calls for its callers."""
    provider = AuthProvider(
        zone_url=zone_url,
        audience=audience,
        server_name="Calendar",
        application_credential=ClientSecret((own.identifier, own.password)) if own else None,
        enable_dynamic_client_registration=False,
    )

    async def health(request):
        return JSONResponse({"ok": True})

    @requires("authenticated")
    async def data(request):
        user = request.user
        return JSONResponse({"client": user.client_id, "app": user.keycard_app_id, "scopes": list(request.auth.scopes)})

    @requires("admin")
    async def admin(request):
        return JSONResponse({"ok": True})

    routes = [Route("/health", health), Route("/api/data", data), Route("/api/admin", admin)]
    if beyond:

        @requires("authenticated")
        @provider.grant(beyond)
        async def further(request: Request, access: AccessContext):
            if access.has_errors():
                return JSONResponse({"errors": str(access.get_errors())}, status_code=502)
            return JSONResponse({"token": access.access(beyond).access_token})

        routes.append(Route("/api/further", further))
    app = Starlette(routes=routes)
    provider.install(app)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until, "the API does not start"
        time.sleep(0.02)
    return f"http://127.0.0.1:{port}"
