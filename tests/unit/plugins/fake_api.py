# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in memory: as much of an API server as planning and applying can tell apart from a real one.

Server-side apply keeps what each manager applied; a Service's ports merge by (port, protocol), other lists as a whole.
What it does not do: schemas, admission, ownership below the leaves of a port, controllers.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path, object_path

BY_HAND = "kubectl-edit"
ISTIO = "/apis/networking.istio.io/"


class Killed(Exception):
    """The run was killed just before a write."""


class Stored:
    """One object: what each manager applied, in order; the hand's share has no managed fields of apply."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.version = 1
        self.shares: dict[str, Mapping[str, Any]] = {}

    def edits(self) -> list[dict[str, Any]]:
        """Return the hand's entry of managedFields: the ports of a Service, with each of their fields."""
        share = self.shares.get(BY_HAND)
        ports = dict(_ports_by_key(share)) if share else {}
        owned = {
            f"k:{json.dumps({'port': key[0], 'protocol': key[1]})}": {f"f:{field}": {} for field in port}
            for key, port in ports.items()
        }
        fields = {"f:spec": {"f:ports": owned}}
        return [{"manager": BY_HAND, "operation": "Update", "fieldsV1": fields}] if owned else []

    def full(self) -> dict[str, Any]:
        """Return the object as the API server shows it."""
        merged: dict[str, Any] = {}
        for share in self.shares.values():
            merged = _merge(merged, share)
        merged["metadata"] = {
            **merged["metadata"],
            "uid": self.uid,
            "resourceVersion": str(self.version),
            "generation": 1,
            "managedFields": [
                {"manager": manager, "operation": "Apply", "fieldsV1": {**_ports_owned(share), **_labels_owned(share)}}
                for manager, share in self.shares.items()
                if manager != BY_HAND
            ]
            + self.edits(),
        }
        return _with_defaults(merged)


class FakeApi(Api):
    """The API server's requests on objects in memory."""

    host = "https://cluster.test:6443"

    # Whether OpenShift Service Mesh 2 is there.
    maistra = False

    def __init__(self, istio: bool = True) -> None:
        self.objects: dict[str, Stored] = {}
        self.requests: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.refusals: dict[tuple[str, str], ApiError] = {}
        self.writes_left: int | None = None
        self.after_write: Callable[[], None] = lambda: None
        self._serial = itertools.count(1)
        self.istio = istio
        # Further groups, as C(group/version).
        self.served: list[str] = []

    # What a test does to it.

    def add(self, obj: Mapping[str, Any], manager: str = BY_HAND) -> None:
        """Put an object, or a manager's share of one, on the cluster."""
        stored = self.objects.setdefault(object_path(obj), Stored(f"uid-{next(self._serial)}"))
        stored.shares[manager] = copy.deepcopy(dict(obj))

    def refuse(self, method: str, obj: Mapping[str, Any], status: int, reason: str, message: str) -> None:
        """Let the API server refuse a method on an object."""
        path = object_path(obj)
        self.refusals[(method, path)] = ApiError(status, reason, message, method, path)

    def copy(self) -> FakeApi:
        """Return another cluster in the same state, with nothing asked of it yet."""
        other = FakeApi(self.istio)
        other.maistra = self.maistra
        other.objects = copy.deepcopy(self.objects)
        other.served = list(self.served)
        other._serial = itertools.count(next(self._serial) + 1000)
        return other

    def object(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return one object without asking for it."""
        metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
        stored = self.objects.get(object_path({"kind": kind, "metadata": metadata}))
        return stored.full() if stored else None

    def snapshot(self) -> dict[str, Any]:
        """Return all that matters in a comparison: contents, and who owns which port; Leases come and go."""
        result = {}
        for path, stored in sorted(self.objects.items()):
            if "/leases/" in path:
                continue
            full = stored.full()
            owners = {manager: sorted(map(str, dict(_ports_by_key(share)))) for manager, share in stored.shares.items()}
            if full["kind"] == "Service":
                full["spec"]["ports"] = sorted(full["spec"].get("ports", []), key=lambda port: port["port"])
            full["metadata"] = {
                key: value
                for key, value in full["metadata"].items()
                if key not in ("uid", "managedFields", "resourceVersion")
            }
            result[path] = (full, {manager: ports for manager, ports in owners.items() if ports})
        return result

    # What the collection asks of it.

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        accept: str | None = None,
    ) -> dict[str, Any]:
        """Answer one request; who asks for metadata only gets the rest as well."""
        query = query or {}
        # The real one reads a deletion's options from its body when there is one, and then ignores the query.
        dry = (body or {}).get("dryRun") == ["All"] if method == "DELETE" and body else query.get("dryRun") == "All"
        self.requests[method] += 1
        self.log.append((f"{method} dry" if dry else method, path))
        if (method, path) in self.refusals:
            raise self.refusals[(method, path)]
        if not self.istio and path.startswith(ISTIO):
            raise _error(404, "NotFound", method, path)
        if method == "GET":
            return self._read(path, query.get("labelSelector"))
        if not dry:
            if self.writes_left == 0:
                raise Killed
            if self.writes_left is not None:
                self.writes_left -= 1
        if method == "PATCH" and content_type == "application/json-patch+json":
            answer = self._json_patch(path, body or [], dry)
        elif method == "PATCH" and content_type == "application/merge-patch+json":
            answer = self._merge_patch(path, body or {}, dry)
        elif method == "PATCH":
            assert content_type == "application/apply-patch+yaml"
            assert query["fieldValidation"] == "Strict"
            answer = self._apply(path, body or {}, query["fieldManager"], query["force"] == "true", dry)
        elif method in ("POST", "PUT"):
            answer = self._put(method, path, body or {}, dry)
        else:
            answer = self._delete(path, body or {}, dry)
        if not dry:
            self.after_write()
        return answer

    def _read(self, path: str, selector: str | None) -> dict[str, Any]:
        if path == "/version":
            return {"gitVersion": "v1.34.4"}
        if path == "/apis":
            istio = {"name": "networking.istio.io", "versions": [{"version": "v1"}, {"version": "v1beta1"}]}
            further = [item.split("/") for item in self.served]
            more = [{"name": group, "versions": [{"version": version}]} for group, version in further]
            maistra = {"name": "maistra.io", "versions": [{"version": "v1"}, {"version": "v2"}]}
            more += [maistra] if self.maistra else []
            return {"groups": [*([istio] if self.istio else []), *more]}
        if path in self.objects:
            return self.objects[path].full()
        found = [stored.full() for stored in self.objects.values()]
        kind = next((kind for kind in KINDS if _is_collection(path, kind)), None)
        if kind is None:
            raise _error(404, "NotFound", "GET", path)
        items = [
            obj
            for obj in found
            if obj["kind"] == kind
            and path in (collection_path(kind), collection_path(kind, obj["metadata"].get("namespace")))
            and _selected(obj, selector)
        ]
        return {"items": items}

    def _apply(self, path: str, body: Mapping[str, Any], manager: str, force: bool, dry: bool) -> dict[str, Any]:
        namespace = body["metadata"].get("namespace")
        if namespace and self.object("Namespace", namespace) is None:
            raise _error(404, "NotFound", "PATCH", path)
        before = self.objects.get(path)
        uid = body["metadata"].get("uid")
        if uid and (before is None or before.uid != uid):
            raise _error(409, "Conflict", "PATCH", path, "Precondition failed: UID in precondition differs")
        after = copy.deepcopy(before) if before else Stored(f"uid-{next(self._serial)}")
        others = {name: dict(_leaves(share)) for name, share in after.shares.items() if name != manager}
        conflicts = [
            f'conflict with "{name}": .{".".join(map(str, leaf))}'
            for leaf, value in _leaves(body)
            for name, leaves in others.items()
            if leaf in leaves and leaves[leaf] != value
        ]
        if conflicts and not force:
            message = f"Apply failed with {len(conflicts)} conflict{'s'[: len(conflicts) > 1]}: {', '.join(conflicts)}"
            raise _error(409, "Conflict", "PATCH", path, message)
        if conflicts:
            after.shares.pop(manager, None)
            _give_up_ports(after.shares.values(), body)
        share = copy.deepcopy(dict(body))
        share["metadata"].pop("uid", None)
        after.shares[manager] = share
        named = {key for key, port in _ports_by_key(before.full() if before else body) if port.get("name")}
        if any(key in named and not port.get("name") for key, port in _ports_by_key(after.full())):
            raise _error(422, "Invalid", "PATCH", path, "spec.ports.name: Required value")
        after.version += 1
        if not dry:
            self.objects[path] = after
        return after.full()

    def _json_patch(self, path: str, operations: Any, dry: bool) -> dict[str, Any]:
        """Test, add, replace and remove in an object that was made by hand."""
        stored = copy.deepcopy(self.objects[path])
        whole = stored.full() if "/services/" in path else None
        document = whole or stored.shares[BY_HAND]
        document["metadata"] |= {"uid": stored.uid, "resourceVersion": str(stored.version)}
        for operation in operations:
            *way, last = [_unescaped(key) for key in operation["path"].split("/")[1:]]
            target: Any = document
            try:
                for key in way:
                    target = target[int(key)] if isinstance(target, list) else target[key]
                place = (len(target) if last == "-" else int(last)) if isinstance(target, list) else last
                if operation["op"] == "remove":
                    del target[place]
                elif operation["op"] == "test":
                    assert target[place] == operation["value"]
                elif operation["op"] == "add" and isinstance(target, list):
                    target.insert(place, copy.deepcopy(operation["value"]))
                else:
                    assert operation["op"] == "add" or place in (
                        target if isinstance(target, dict) else range(len(target))
                    )
                    target[place] = copy.deepcopy(operation["value"])
            except (AssertionError, KeyError, IndexError) as error:
                raise _error(422, "Invalid", "PATCH", path, "the JSON patch does not apply") from error
        for key in ("uid", "resourceVersion"):
            del document["metadata"][key]
        if whole:
            # What is taken out of a Service's ports is nobody's any more.
            left = dict(_ports_by_key(whole))
            for share in stored.shares.values():
                if "ports" in share.get("spec", {}):
                    share["spec"]["ports"] = [port for key, port in _ports_by_key(share) if key in left]
        if not dry:
            stored.version += 1
            self.objects[path] = stored
        return stored.full()

    def _merge_patch(self, path: str, body: Mapping[str, Any], dry: bool) -> dict[str, Any]:
        """Merge a patch (RFC 7396) into an object that is still the one that was read."""
        stored = copy.deepcopy(self.objects.get(path))
        if stored is None:
            raise _error(404, "NotFound", "PATCH", path)
        if body["metadata"].get("resourceVersion", str(stored.version)) != str(stored.version):
            raise _error(409, "Conflict", "PATCH", path, "the object has been modified")
        merged = _merge_json(stored.shares.get(BY_HAND, stored.full()), body)
        for key in ("resourceVersion", "managedFields"):
            merged["metadata"].pop(key, None)
        stored.shares = {BY_HAND: merged}
        stored.version += 1
        if not dry:
            self.objects[path] = stored
        return stored.full()

    def _put(self, method: str, path: str, body: Mapping[str, Any], dry: bool = False) -> dict[str, Any]:
        """Create an object, or replace it as a whole if it is still the one that was read.

        An update of what is gone makes it anew unless it carries a uid (seen with Leases on Kubernetes 1.34).
        """
        own_path = object_path(body)
        stored = self.objects.get(own_path)
        if self.object("Namespace", body["metadata"]["namespace"]) is None:
            raise _error(404, "NotFound", method, path)
        if method == "POST":
            if stored:
                raise _error(409, "AlreadyExists", method, path, "already exists")
            if dry:
                return dict(body)
            stored = self.objects[own_path] = Stored(f"uid-{next(self._serial)}")
        elif stored is None and "uid" not in body["metadata"]:
            stored = self.objects[own_path] = Stored(f"uid-{next(self._serial)}")
        elif stored is None or body["metadata"].get("uid", stored.uid) != stored.uid:
            raise _error(409, "Conflict", method, path, "Precondition failed: UID in precondition differs")
        elif body["metadata"]["resourceVersion"] != str(stored.version):
            raise _error(409, "Conflict", method, path, "the object has been modified")
        stored.version += 1
        stored.shares = {BY_HAND: copy.deepcopy(dict(body))}
        stored.shares[BY_HAND]["metadata"].pop("resourceVersion", None)
        return stored.full()

    def _delete(self, path: str, body: Mapping[str, Any], dry: bool) -> dict[str, Any]:
        stored = self.objects.get(path)
        if stored is None:
            raise _error(404, "NotFound", "DELETE", path)
        if body["preconditions"].get("resourceVersion", str(stored.version)) != str(stored.version):
            raise _error(409, "Conflict", "DELETE", path, "Precondition failed: resourceVersion differs")
        if body["preconditions"]["uid"] != stored.uid:
            raise _error(409, "Conflict", "DELETE", path, "Precondition failed: UID in precondition differs")
        if not dry:
            full = self.objects.pop(path).full()
            if full["kind"] == "Namespace":
                inside = [
                    key
                    for key, item in self.objects.items()
                    if item.full()["metadata"].get("namespace") == full["metadata"]["name"]
                ]
                for key in inside:
                    del self.objects[key]
        return {"kind": "Status"}


def _error(status: int, reason: str, method: str, path: str, message: str = "not found") -> ApiError:
    return ApiError(status, reason, message, method, path)


def _unescaped(key: str) -> str:
    """Read one part of a JSON pointer."""
    return key.replace("~1", "/").replace("~0", "~")


def _is_collection(path: str, kind: str) -> bool:
    base, plural = collection_path(kind).rsplit("/", 1)
    return bool(re.fullmatch(f"{re.escape(base)}(/namespaces/[^/]+)?/{plural}", path))


def _selected(obj: Mapping[str, Any], selector: str | None) -> bool:
    labels = obj["metadata"].get("labels") or {}
    for term in (selector or "").split(","):
        absent, term = term.startswith("!"), term.lstrip("!")
        key, equals, value = term.partition("=")
        if term and (key in labels) is absent:
            return False
        if equals and labels[key] != value:
            return False
    return True


def _ports_by_key(share: Mapping[str, Any]) -> Iterator[tuple[tuple[int, str], Mapping[str, Any]]]:
    if share["kind"] == "Service":
        for port in share.get("spec", {}).get("ports", []):
            yield (port["port"], port.get("protocol", "TCP")), port


def _ports_owned(share: Mapping[str, Any]) -> dict[str, Any]:
    keys = [json.dumps({"port": port, "protocol": protocol}) for (port, protocol), _port in _ports_by_key(share)]
    return {"f:spec": {"f:ports": {f"k:{key}": {} for key in keys}}} if keys else {}


def _labels_owned(share: Mapping[str, Any]) -> dict[str, Any]:
    labels = share["metadata"].get("labels") or {}
    return {"f:metadata": {"f:labels": {f"f:{key}": {} for key in labels}}} if labels else {}


def _give_up_ports(shares: Iterable[dict[str, Any]], body: Mapping[str, Any]) -> None:
    """Take the fields of ports that a forced apply takes over out of the other managers' shares."""
    wanted = dict(_ports_by_key(body))
    for share in shares:
        for key, port in _ports_by_key(share):
            for field, value in wanted.get(key, {}).items():
                if field in port and port[field] != value:
                    del port[field]


def _leaves(share: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Return the owned fields of a share with their values."""
    for key, port in _ports_by_key(share):
        for field, value in port.items():
            yield ("spec", "ports", key, field), value
    rest = {key: value for key, value in share.items() if key not in ("apiVersion", "kind", "metadata")}
    rest["metadata"] = {key: share["metadata"].get(key, {}) for key in ("labels", "annotations")}
    if share["kind"] == "Service" and "spec" in rest:
        rest["spec"] = {key: value for key, value in rest["spec"].items() if key != "ports"}
    yield from _walk(rest, ())


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, (*path, key))
    else:
        yield path, value


def _merge(base: Mapping[str, Any], share: Mapping[str, Any]) -> dict[str, Any]:
    merged = _merge_dicts(base, share)
    if share["kind"] == "Service" and base:
        ports: dict[tuple[int, str], dict[str, Any]] = {}
        for key, port in [*_ports_by_key(base), *_ports_by_key(share)]:
            ports[key] = {**ports.get(key, {}), **port}
        if ports:
            merged["spec"]["ports"] = list(ports.values())
    return merged


def _merge_json(base: Any, patch: Any) -> Any:
    """Merge as RFC 7396 says: null takes away, mappings merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(dict(base)) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_json(merged.get(key), value)
    return merged


def _merge_dicts(base: Mapping[str, Any], share: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in share.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge_dicts(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _with_defaults(obj: dict[str, Any]) -> dict[str, Any]:
    """Add what the server and its controllers would: enough for the waits to end."""
    if obj["kind"] == "Service":
        spec = obj.setdefault("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec["clusterIP"] = "10.96.0.1"
        if spec["type"] == "LoadBalancer":
            obj["status"] = {"loadBalancer": {"ingress": [{"ip": "198.18.0.100"}]}}
    if obj["kind"] == "Deployment":
        pods = obj["spec"].setdefault("replicas", 1)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), pods)
        obj["status"] = {"observedGeneration": 1, **counts}
    return obj
