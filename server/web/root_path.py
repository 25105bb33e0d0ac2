"""Paths as they are routed here, whatever stands before them."""

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPathMiddleware:
    """ASGI middleware for an app that is mounted in another one. Where that one has a `root_path` and its proxy takes the prefix
    away, the path lacks what `root_path` has, and Starlette finds no route below a mount: ASGI wants the path to begin with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        outer, root = scope.get("app_root_path", ""), scope.get("root_path", "")
        if outer and root.startswith(outer) and not scope["path"].startswith(root):
            inner = root.removeprefix(outer)  # where it is mounted
            if scope["path"].startswith(inner):
                scope = {**scope, "path": outer + scope["path"]}
        await self._app(scope, receive, send)
