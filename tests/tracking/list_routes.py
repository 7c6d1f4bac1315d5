"""What MLflow's server can be asked, as JSON; a script for `test_routes`.

A script of its own, because importing MLflow's server sets it up.  It prints

    {"fields": {"POST /mlflow/experiments/create": ["artifact_location"], ...},
     "routes": ["GET /get-artifact", ...]}

where *fields* are those of all requests that MLflow describes (its protocol buffers and its
GraphQL) whose names say that they may be locations, and *routes* are those it wrote by hand,
whose fields nothing describes.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

from graphql import GraphQLInputObjectType
from mlflow.protos import databricks_pb2
from mlflow.server import app, handlers
from mlflow.server.fastapi_app import create_fastapi_app
from mlflow.server.graphql.graphql_schema_extensions import schema

SUSPICIOUS: Final = re.compile(
    r"uri|url|path|(?<!re)source|location|digest|artifact|file|dir|root_|_root|folder|storage|bucket",
    re.IGNORECASE,
)
SERVICES: Final = ("MlflowService", "ModelRegistryService", "MlflowArtifactsService")
PREFIX: Final = re.compile(r"^/(?:ajax-)?api/[23]\.0(?=/|mlflow)")


def routed(path: str) -> str:
    """Spell a route without what stands before ``/mlflow``."""
    plain = PREFIX.sub("", re.sub(r"\{([^}:]+):path\}", r"<path:\1>", path))
    return re.sub(r"\{([^}]+)\}", lambda found: f"<{found[1].rpartition('.')[2]}>", plain)


def suspicious(message: Any, before: str = "", seen: tuple[str, ...] = ()) -> list[str]:
    """Return the fields of *message*, and of those inside it, that may be locations."""
    found = []
    for field in message.fields:
        inner = field.message_type
        if inner is None and field.type in {field.TYPE_STRING, field.TYPE_BYTES}:
            found += [before + field.name] if SUSPICIOUS.search(field.name) else []
        elif inner is not None and inner.full_name not in seen:
            found += suspicious(inner, f"{before}{field.name}.", (*seen, inner.full_name))
    return found


def described() -> dict[str, list[str]]:
    """Return every route of the protocol buffers and its suspicious fields."""
    found = {}
    names = [name for name in vars(handlers) if name in SERVICES or name.endswith("Service")]
    for name in names:
        for method in getattr(handlers, name).DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                route = f"{endpoint.method} {routed(endpoint.path)}"
                of_path = re.findall(r"<path:(\w+)>", route)
                found[route] = sorted({*suspicious(method.input_type), *of_path})
    return found


def of_bodies(native: Any) -> dict[str, list[str]]:
    """Return the routes of the native half whose bodies are described, and suspicious fields."""
    kinds = native.get("components", {}).get("schemas", {})

    def inside(schema: Any, before: str, seen: tuple[str, ...]) -> list[str]:
        name = schema.get("$ref", "").rpartition("/")[2]
        if name in seen:
            return []
        if name:
            return inside(kinds[name], before, (*seen, name))
        found = []
        for key, inner in schema.get("properties", {}).items():
            found += [before + key] if SUSPICIOUS.search(key) else []
            found += inside(inner, f"{before}{key}.", seen)
        for inner in [*schema.get("anyOf", []), *filter(None, [schema.get("items")])]:
            found += inside(inner, before, seen)
        return found

    return {
        f"{method.upper()} {routed(path)}": sorted(set(inside(body["schema"], "", ())))
        for path, methods in native["paths"].items()
        for method, said in methods.items()
        for body in said.get("requestBody", {}).get("content", {}).values()
    }


def of_graphql() -> list[str]:
    """Return the suspicious fields of GraphQL's inputs."""
    return sorted(
        f"{kind.name}.{name}"
        for kind in schema.graphql_schema.type_map.values()
        if isinstance(kind, GraphQLInputObjectType)
        for name in kind.fields
        if SUSPICIOUS.search(name)
    )


def asked(native: Any) -> set[str]:
    """Return all routes there are, of both halves of the server."""
    found = {
        f"{method} {routed(rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    return found | {
        f"{method.upper()} {routed(path)}"
        for path, methods in native["paths"].items()
        for method in methods
    }


def main() -> None:
    """Print what there is."""
    fields = described()
    native = create_fastapi_app(app).openapi()
    # The native half leaves `:path` out of what it says of itself.
    known = {re.sub("path:", "", route) for route in fields}
    routes = sorted(route for route in asked(native) if re.sub("path:", "", route) not in known)
    fields |= of_bodies(native)
    fields = {route: names for route, names in fields.items() if names}
    fields["POST /graphql"] = of_graphql()
    json.dump({"fields": fields, "routes": routes}, sys.stdout)


if __name__ == "__main__":
    main()
