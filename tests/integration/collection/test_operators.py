# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role operators on an API-only lab of its own, with the stand-in for OLM (its head says what that does not do).

Three tests run the role itself. The others do in this process what its tasks do, which takes a tenth of the time.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils import _client
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, render
from ansible_collections.servicemesh.tcp.plugins.module_utils._operators import operator_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._rights import RIGHTS
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_preflight, mesh_state, tcp_apply
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module
from harness import Cluster, Playbooks, Run
from kindlab.access import with_token
from standins.client import MERGE, Api, ApiError
from standins.kinds import KINDS

pytestmark = pytest.mark.own_lab
ROOT = Path(__file__).resolve().parents[3]
NAME = "operators-it"
NS = "openshift-operators"
PLAYBOOK = """
- hosts: clusters
  gather_facts: false
  module_defaults:
    group/servicemesh.tcp.tcp: {kubeconfig: "{{ tcp_kubeconfig }}"}
  tasks:
    - ansible.builtin.include_role:
        name: servicemesh.tcp.operators
        tasks_from: preflight
    - ansible.builtin.include_role:
        name: servicemesh.tcp.operators
"""
OSSM = {"name": "servicemeshoperator3"}
KIALI = {"name": "kiali-ossm"}
V33, V34 = "servicemeshoperator3.v3.3.6", "servicemeshoperator3.v3.4.1"
# The groups of definitions that no operator brings.
PLATFORM = ("operators.coreos.com", "openshift.io")


def lab(*arguments: str) -> None:
    """Run the lab's command."""
    command = [str(ROOT / "tests" / "lab" / "lab"), *arguments, "--name", NAME]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Olm:
    """The cluster as somebody with all rights sees and changes it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.api = Api(str(kubeconfig))

    def all(self, kind: str, namespace: str = "") -> dict[str, dict[str, Any]]:
        """Return the objects of a kind by name."""
        items = self.api.request("GET", KINDS[kind].path(namespace))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one object."""
        return self.all(kind, namespace).get(name)

    def create(self, kind: str, namespace: str, name: str, annotations: Any = None, **rest: Any) -> None:
        """Make an object as somebody else would."""
        metadata = {"name": name, "annotations": annotations or {}}
        if namespace:
            metadata["namespace"] = namespace
        body = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **rest}
        self.api.request("POST", KINDS[kind].path(namespace), body)

    def subscribe(self, name: str, package: str, annotations: Any = None, **spec: Any) -> None:
        """Subscribe as somebody else would."""
        source = {"source": "redhat-operators", "sourceNamespace": "openshift-marketplace"}
        self.create("Subscription", NS, name, annotations, spec={"name": package, **source, **spec})

    def switch(self, name: str, value: str) -> None:
        """Let something fail."""
        patch = {"data": {name: value}}
        self.api.request("PATCH", KINDS["ConfigMap"].path("kube-system", "standins"), patch, MERGE)

    def clear(self) -> None:
        """Remove the switches, and all operators with their definitions; the Subscriptions first."""
        if self.find("ConfigMap", "kube-system", "standins"):
            self.api.request("DELETE", KINDS["ConfigMap"].path("kube-system", "standins"))
        self.create("ConfigMap", "kube-system", "standins")
        for kind in ("Subscription", "ClusterServiceVersion", "InstallPlan"):
            for name in self.all(kind, NS):
                self.api.request("DELETE", KINDS[kind].path(NS, name))
        for name in self.definitions():
            self.api.request("DELETE", KINDS["CustomResourceDefinition"].path("", name))
        self.soon(lambda: not self.definitions())

    def soon(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so; two minutes are for a machine with other work."""
        until = time.monotonic() + 120
        while not is_so():
            assert time.monotonic() < until
            time.sleep(0.2)

    def finish_removals(self) -> None:
        """Finish the removal of namespaces and hurry that of definitions, as an API-only lab has no controllers.

        A definition that was made a moment ago cannot be removed yet ("storage is (re)initializing"), and the API
        server tries again after minutes; a change of the object makes it try at once.
        """
        for kind in ("Namespace", "CustomResourceDefinition"):
            for name, found in self.all(kind).items():
                if "deletionTimestamp" not in found["metadata"]:
                    continue
                # Gone in between is as good.
                with contextlib.suppress(ApiError):
                    if kind == "Namespace":
                        found["spec"]["finalizers"] = []
                        self.api.request("PUT", f"{KINDS[kind].path('', name)}/finalize", found)
                    else:
                        patch = {"metadata": {"annotations": {"tests/hurry": str(time.monotonic())}}}
                        self.api.request("PATCH", KINDS[kind].path("", name), patch, MERGE)

    def definitions(self) -> list[str]:
        """Return the names of the definitions that operators brought."""
        return [name for name in self.all("CustomResourceDefinition") if not name.endswith(PLATFORM)]


@dataclass
class Done:
    """What became of a run in this process."""

    code: int
    said: str
    changed: int = 0


def carry_out(kubeconfig: Path, wanted: list[dict[str, Any]], seconds: int, **arguments: Any) -> Done:
    """Do what the role's tasks do."""
    done = Done(0, "")
    for phase in ("subscribe", "install"):
        api = _client.Api(SimpleNamespace(params={"kubeconfig": str(kubeconfig)}))
        mesh = run_module(mesh_state, api, parts=["operators"])["mesh"]
        plan = operator_plan(wanted, mesh, phase=phase, **arguments)
        done.said += render(plan["findings"])
        if errors(plan["findings"]):
            return Done(1, done.said, done.changed)
        result = run_module(tcp_apply, api, steps=plan["steps"], wait_timeout=seconds)
        if result["failed"]:
            return Done(1, done.said + result["msg"], done.changed)
        done.changed += result["changed"]
        if not plan["second"]:
            break
    return done


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    """Return the way into an API-only lab with OLM and what else of OpenShift is looked at."""
    lab("up", "--api-only", "--with", "olm,openshift")
    path = ROOT / ".lab" / NAME / "kubeconfig"
    over = threading.Event()
    helper = threading.Thread(target=keep_finishing, args=(path, over))
    helper.start()
    yield path
    over.set()
    helper.join()
    lab("down")


def keep_finishing(kubeconfig: Path, over: threading.Event) -> None:
    """Finish removals every half a second."""
    cluster = Olm(kubeconfig)
    while not over.wait(0.5):
        cluster.finish_removals()


@pytest.fixture(scope="module")
def limited(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the way in of an account with just the rights of docs/rbac-install.yaml."""
    cluster = Cluster(kubeconfig, kubeconfig)
    cluster.apply(*yaml.safe_load((ROOT / "docs" / "rbac-install.yaml").read_text())["items"])
    account = "servicemesh-tcp-install"
    request = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    core = kubernetes.client.CoreV1Api(cluster.client())
    token = core.create_namespaced_service_account_token(account, account, request).status.token
    path = tmp_path_factory.mktemp("account") / "kubeconfig"
    path.write_text(yaml.safe_dump(with_token(yaml.safe_load(kubeconfig.read_text()), token, account)))
    return path


@pytest.fixture
def olm(kubeconfig: Path) -> Olm:
    """Return the cluster without any operator."""
    found = Olm(kubeconfig)
    found.clear()
    return found


@pytest.fixture
def role(kubeconfig: Path, limited: Path, tmp_path: Path) -> Callable[..., Run]:
    """Return what runs the role under the documented rights."""
    playbooks = Playbooks(ROOT, Cluster(kubeconfig, limited), tmp_path)
    playbook = tmp_path / "operators.yml"
    playbook.write_text(PLAYBOOK)

    def run(*wanted: dict[str, Any], options: tuple[str, ...] = (), seconds: int = 60, **arguments: Any) -> Run:
        variables = {"operators_wanted": list(wanted), "operators_wait_timeout": seconds, **arguments}
        return playbooks.run(str(playbook), variables, *options)

    return run


@pytest.fixture
def install(kubeconfig: Path, limited: Path) -> Callable[..., Done]:
    """Return what does the same as the role, under the documented rights."""

    def run(*wanted: dict[str, Any], seconds: int = 60, admin: bool = False, **arguments: Any) -> Done:
        return carry_out(kubeconfig if admin else limited, list(wanted), seconds, **arguments)

    return run


def test_from_nothing_to_nothing(olm: Olm, role: Callable[..., Run], install: Callable[..., Done]) -> None:
    check = role(OSSM, KIALI, options=("--check",))
    assert check.code == 0, check.output
    assert "ok user system:serviceaccount:servicemesh-tcp-install:servicemesh-tcp-install" in check.said
    assert "ok rights as needed" in check.said
    assert "create Subscription openshift-operators/servicemeshoperator3" in check.output
    assert olm.all("Subscription", NS) == {}

    run = role(OSSM, KIALI)
    assert run.code == 0, run.output
    assert {name: csv["status"]["phase"] for name, csv in olm.all("ClusterServiceVersion", NS).items()} == {
        V34: "Succeeded",
        "kiali-operator.v2.22.0": "Succeeded",
    }
    before = olm.all("Subscription", NS)
    again = role(OSSM, KIALI)
    assert (again.code, again.changed) == (0, 0), again.output
    assert olm.all("Subscription", NS) == before

    gone = role(OSSM, KIALI, operators_state="absent")
    assert gone.code == 0, gone.output
    assert (olm.all("Subscription", NS), olm.all("ClusterServiceVersion", NS)) == ({}, {})
    assert olm.find("CustomResourceDefinition", "", "istios.sailoperator.io")
    assert olm.find("OperatorGroup", NS, "global-operators")
    assert install(OSSM, KIALI, operators_state="absent").changed == 0


def test_approval_by_hand_goes_to_the_version_that_is_named(olm: Olm, install: Callable[..., Done]) -> None:
    manual = {"name": "servicemeshoperator", "approval": "Manual"}
    first = install({**manual, "starting_csv": "servicemeshoperator.v2.6.13"})
    assert first.code == 0, first.said
    assert set(olm.all("ClusterServiceVersion", NS)) == {"servicemeshoperator.v2.6.13"}
    # The next one waits for approval, and goes on waiting.
    assert install({**manual, "starting_csv": "servicemeshoperator.v2.6.13"}).changed == 0
    assert not all(plan["spec"]["approved"] for plan in olm.all("InstallPlan", NS).values())

    raised = install({**manual, "starting_csv": "servicemeshoperator.v2.6.14"})
    assert raised.code == 0, raised.said
    # The wanted one is there; OLM removes the one that it replaces a moment later.
    olm.soon(lambda: set(olm.all("ClusterServiceVersion", NS)) == {"servicemeshoperator.v2.6.14"})


def test_nothing_else_is_approved(olm: Olm, install: Callable[..., Done]) -> None:
    """Somebody waits with an approval of his own, and OLM adds ours to the same plan."""
    olm.subscribe("theirs", "tempo-product", installPlanApproval="Manual")
    run = install(OSSM, seconds=30)
    assert run.code != 0
    assert "INSTALL_PLAN_SHARED operator 'servicemeshoperator3'" in run.said
    assert "holds tempo-operator.v0.20.0 beside servicemeshoperator3.v3.4.1" in run.said
    assert not any(plan["spec"]["approved"] for plan in olm.all("InstallPlan", NS).values())
    assert olm.all("ClusterServiceVersion", NS) == {}


def test_a_subscription_of_another_name_is_used_as_it_is(olm: Olm, install: Callable[..., Done]) -> None:
    olm.subscribe("my-mesh", "servicemeshoperator3", channel="stable-3.3")
    run = install({**OSSM, "channel": "stable-3.4"})
    assert run.code == 0, run.said
    assert "SUBSCRIPTION_DIFFERS" in run.said
    assert {name: one["spec"]["channel"] for name, one in olm.all("Subscription", NS).items()} == {
        "my-mesh": "stable-3.3"
    }
    # It was waited for all the same.
    assert olm.all("ClusterServiceVersion", NS)[V33]["status"]["phase"] == "Succeeded"
    assert install(OSSM).changed == 0

    taken = install({**OSSM, "channel": "stable-3.4", "adopt": True})
    assert taken.code == 0, taken.said
    assert olm.all("Subscription", NS)["my-mesh"]["spec"]["channel"] == "stable-3.4"
    # Adopted is not made by us.
    stays = install(OSSM, operators_state="absent")
    assert "OPERATOR_STAYS" in stays.said
    assert "my-mesh" in olm.all("Subscription", NS)


def test_what_the_ingress_operator_brought_is_left_alone(olm: Olm, install: Callable[..., Done]) -> None:
    olm.switch("openshift.version", "4.19.3")
    olm.switch("openshift.ingress-mesh", "true")
    until = time.monotonic() + 30
    while not (there := olm.all("Subscription", NS)):
        assert time.monotonic() < until
        time.sleep(0.2)
    ((name, before),) = there.items()
    run = install({**OSSM, "channel": "candidates"})
    assert run.code == 0, run.said
    assert f"SUBSCRIPTION_FOUND operator 'servicemeshoperator3': Subscription {NS}/{name}" in run.said
    assert run.changed == 0
    after = olm.all("Subscription", NS)[name]
    assert after["spec"] == before["spec"]
    assert olm.all("ClusterServiceVersion", NS)[after["status"]["installedCSV"]]["status"]["phase"] == "Succeeded"
    assert "SUBSCRIPTION_OF_INGRESS" in install({**OSSM, "channel": "candidates", "adopt": True}).said


def test_the_preflight_names_what_is_not_well(olm: Olm, limited: Path) -> None:
    olm.switch("openshift.operator-degraded", "ingress: IngressDegraded: no default router")
    olm.switch("openshift.operator-unavailable", "ingress: NoPods: none runs")
    olm.switch("olm.catalog-down", "redhat-operators")
    api = _client.Api(SimpleNamespace(params={"kubeconfig": str(limited)}))
    until = time.monotonic() + 30
    # Each switch takes effect by itself.
    trouble = "; ingress: not available (NoPods: none runs) and degraded (IngressDegraded: no default router)"
    while len((seen := run_module(mesh_preflight, api, rights=list(RIGHTS)))["findings"]) < 2 or not any(
        line.endswith(trouble) for line in seen["table"]
    ):
        assert time.monotonic() < until, seen
        time.sleep(0.2)
    assert [(item["code"], item["subject"]) for item in seen["findings"]] == [
        ("CLUSTER_OPERATOR_UNWELL", "ClusterOperator ingress"),
        ("CATALOG_NOT_READY", "cluster"),
    ]
    table = {" ".join(line[4:].split("  ")[0].split()): line for line in seen["table"]}
    assert table["openshift"] == "ok  openshift          4.18.22"
    assert table["rights"] == "ok  rights             as needed"


@pytest.mark.parametrize(
    ("switch", "value", "said"),
    [
        (
            "olm.csv-fails",
            "kiali-ossm: InstallComponentFailed: quota exceeded",
            "ClusterServiceVersion kiali-operator.v2.22.0 is Failed (InstallComponentFailed: quota exceeded)",
        ),
        (
            "olm.installplan-fails",
            "kiali-ossm: InstallComponentFailed: no such role",
            "InstallComponentFailed: no such role",
        ),
    ],
)
def test_what_has_failed_is_not_waited_for(
    olm: Olm, install: Callable[..., Done], switch: str, value: str, said: str
) -> None:
    olm.switch(switch, value)
    run = install(KIALI)
    assert run.code != 0
    assert "Waiting longer is of no use: Subscription openshift-operators/kiali-ossm: " in run.said
    assert said in run.said
    assert "InstallPlan install-" in run.said
    assert "CatalogSource openshift-marketplace/redhat-operators is READY" in run.said
    # Once that is mended, the same command goes on.
    olm.switch(switch, "")
    assert install(KIALI).code == 0


def test_a_package_that_left_the_catalogue(olm: Olm, install: Callable[..., Done]) -> None:
    run = install({"name": "jaeger-product"})
    assert run.code != 0
    assert "OPERATOR_LEFT_CATALOG" in run.said
    assert (
        "Waiting longer is of no use: Subscription openshift-operators/jaeger-product: OLM cannot resolve it"
        in run.said
    )
    assert "no operators found in package jaeger-product" in run.said
    # A mirror may have it all the same.
    olm.switch("olm.jaeger-in-catalog", "true")
    assert install({"name": "jaeger-product"}).code == 0


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("olm.never-resolves", "OLM has made no InstallPlan yet"),
        (
            "olm.csv-hangs",
            "ClusterServiceVersion kiali-operator.v2.22.0 is Installing (InstallWaiting: installing: waiting for"
            " deployment kiali-operator to become ready",
        ),
    ],
)
def test_what_hangs_is_waited_for_and_named(olm: Olm, install: Callable[..., Done], switch: str, said: str) -> None:
    olm.switch(switch, "kiali-ossm")
    run = install(KIALI, seconds=5)
    assert run.code != 0
    assert "Not ready after 5 s: Subscription openshift-operators/kiali-ossm: " in run.said
    assert said in run.said
    olm.switch(switch, "")
    assert install(KIALI).code == 0


def test_a_catalogue_that_is_down_is_waited_for_and_named(olm: Olm, role: Callable[..., Run]) -> None:
    olm.switch("olm.catalog-down", "redhat-operators")
    run = role(KIALI, seconds=12)
    assert run.code != 0
    # While it waits, it says so.
    assert (
        "[lab] waiting, 10 s: Subscription openshift-operators/kiali-ossm: OLM has made no InstallPlan yet" in run.said
    )
    assert "Not ready after 12 s: Subscription openshift-operators/kiali-ossm" in run.said
    assert "CatalogSource openshift-marketplace/redhat-operators is TRANSIENT_FAILURE" in run.said


def test_an_operator_from_a_manifest_is_left_alone(olm: Olm, install: Callable[..., Done]) -> None:
    """As seed 004 does it: definitions and a Deployment, without a Subscription."""
    install(KIALI)
    install(KIALI, operators_state="absent")
    labels = {"app": "kiali-operator"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "operator", "image": "kiali"}]}}
    if not olm.find("Deployment", "default", "kiali-operator"):
        olm.create(
            "Deployment", "default", "kiali-operator", spec={"selector": {"matchLabels": labels}, "template": pod}
        )
    try:
        run = install(KIALI)
        assert (run.code, run.changed) == (0, 0), run.said
        assert "OPERATOR_BY_HAND operator 'kiali-ossm': Deployment default/kiali-operator" in run.said
        assert olm.all("Subscription", NS) == {}
    finally:
        olm.api.request("DELETE", KINDS["Deployment"].path("default", "kiali-operator"))


def test_namespace_group_and_definitions_come_and_go(olm: Olm, install: Callable[..., Done]) -> None:
    tempo = {"name": "tempo-product"}
    missing = install(tempo)
    assert "NAMESPACE_MISSING" in missing.said
    assert install(tempo, namespace_state="present").code == 0
    namespace = "openshift-tempo-operator"
    assert set(olm.all("OperatorGroup", namespace)) == {"servicemesh-tcp"}
    gone = install(tempo, operators_state="absent", namespace_state="present", crd_state="absent", admin=True)
    assert gone.code == 0, gone.said
    assert not olm.find("CustomResourceDefinition", "", "tempostacks.tempo.grafana.com")
    assert olm.all("OperatorGroup", namespace) == {}
    assert olm.find("Namespace", "", namespace) is None
    assert install(tempo, operators_state="absent", namespace_state="present").changed == 0


def test_a_definition_in_use_is_kept(olm: Olm, install: Callable[..., Done]) -> None:
    assert install(KIALI).code == 0
    olm.api.request(
        "POST",
        "/apis/kiali.io/v1alpha1/namespaces/default/kialis",
        {"apiVersion": "kiali.io/v1alpha1", "kind": "Kiali", "metadata": {"name": "kiali"}, "spec": {}},
    )
    run = install(KIALI, operators_state="absent", crd_state="absent", admin=True)
    assert "CRD_IN_USE CustomResourceDefinition kialis.kiali.io" in run.said
    assert "kiali-operator.v2.22.0" in olm.all("ClusterServiceVersion", NS)


def test_without_olm_check_mode_says_what_is_missing(tmp_path: Path) -> None:
    """A cluster that has no OLM yet: the lab of another name, without stand-ins."""
    bare = [str(ROOT / "tests" / "lab" / "lab"), "up", "--api-only", "--name", f"{NAME}-bare"]
    try:
        subprocess.run(bare, check=True, capture_output=True, timeout=300)
        kubeconfig = ROOT / ".lab" / f"{NAME}-bare" / "kubeconfig"
        playbook = tmp_path / "operators.yml"
        playbook.write_text(PLAYBOOK)
        playbooks = Playbooks(ROOT, Cluster(kubeconfig, kubeconfig), tmp_path)
        run = playbooks.run(str(playbook), {"operators_wanted": [OSSM]}, "--check")
        assert run.code != 0
        assert "OLM_MISSING operators: the cluster does not serve operators.coreos.com/v1alpha1" in run.said
    finally:
        bare[1] = "down"
        subprocess.run([*bare[:2], *bare[3:]], check=True, capture_output=True, timeout=300)
