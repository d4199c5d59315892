# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role operators on an API-only lab of its own with the stand-in for OLM (what that does not do stands in its head)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Cluster, Playbooks, Run
from standins.client import MERGE, Api, ApiError
from standins.kinds import KINDS

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
"""
OSSM = {"name": "servicemeshoperator3"}
KIALI = {"name": "kiali-ossm"}
V33, V34 = "servicemeshoperator3.v3.3.6", "servicemeshoperator3.v3.4.1"
OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}


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
        """Remove all operators, their definitions and the switches; the Subscriptions first."""
        for kind in ("Subscription", "ClusterServiceVersion", "InstallPlan"):
            for name in self.all(kind, NS):
                self.api.request("DELETE", KINDS[kind].path(NS, name))
        for name in self.all("CustomResourceDefinition"):
            if not name.endswith("operators.coreos.com"):
                self.api.request("DELETE", KINDS["CustomResourceDefinition"].path("", name))
        try:
            self.api.request("DELETE", KINDS["ConfigMap"].path("kube-system", "standins"))
        except ApiError as error:
            assert error.status == 404
        self.create("ConfigMap", "kube-system", "standins")


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    """Return the way into an API-only lab with OLM."""
    lab("up", "--api-only", "--with", "olm")
    yield ROOT / ".lab" / NAME / "kubeconfig"
    lab("down")


@pytest.fixture
def olm(kubeconfig: Path) -> Olm:
    """Return the cluster without any operator."""
    found = Olm(kubeconfig)
    found.clear()
    return found


@pytest.fixture
def install(kubeconfig: Path, tmp_path: Path) -> Callable[..., Run]:
    """Return what runs the role."""
    playbooks = Playbooks(ROOT, Cluster(kubeconfig, kubeconfig), tmp_path)
    playbook = tmp_path / "operators.yml"
    playbook.write_text(PLAYBOOK)

    def run(*wanted: dict[str, Any], options: tuple[str, ...] = (), **arguments: Any) -> Run:
        variables = {"operators_wanted": list(wanted), "operators_wait_timeout": 60}
        variables |= {f"operators_{name}": value for name, value in arguments.items()}
        return playbooks.run(str(playbook), variables, *options)

    return run


def test_from_nothing_to_nothing(olm: Olm, install: Callable[..., Run]) -> None:
    check = install(OSSM, KIALI, options=("--check",))
    assert check.code == 0, check.output
    assert "create Subscription openshift-operators/servicemeshoperator3" in check.output
    assert olm.all("Subscription", NS) == {}

    run = install(OSSM, KIALI)
    assert run.code == 0, run.output
    assert {name: csv["status"]["phase"] for name, csv in olm.all("ClusterServiceVersion", NS).items()} == {
        V34: "Succeeded",
        "kiali-operator.v2.22.0": "Succeeded",
    }
    before = olm.all("Subscription", NS)
    again = install(OSSM, KIALI)
    assert (again.code, again.changed) == (0, 0), again.output
    assert olm.all("Subscription", NS) == before

    gone = install(OSSM, KIALI, state="absent")
    assert gone.code == 0, gone.output
    assert (olm.all("Subscription", NS), olm.all("ClusterServiceVersion", NS)) == ({}, {})
    assert olm.find("CustomResourceDefinition", "", "istios.sailoperator.io")
    assert olm.find("OperatorGroup", NS, "global-operators")
    twice = install(OSSM, KIALI, state="absent")
    assert (twice.code, twice.changed) == (0, 0), twice.output


def test_approval_by_hand_goes_to_the_version_that_is_named(olm: Olm, install: Callable[..., Run]) -> None:
    manual = {"name": "servicemeshoperator", "approval": "Manual"}
    first = install({**manual, "starting_csv": "servicemeshoperator.v2.6.13"})
    assert first.code == 0, first.output
    assert set(olm.all("ClusterServiceVersion", NS)) == {"servicemeshoperator.v2.6.13"}
    # The next one waits for approval, and goes on waiting.
    assert install({**manual, "starting_csv": "servicemeshoperator.v2.6.13"}).changed == 0
    assert not all(plan["spec"]["approved"] for plan in olm.all("InstallPlan", NS).values())

    raised = install({**manual, "starting_csv": "servicemeshoperator.v2.6.14"})
    assert raised.code == 0, raised.output
    assert set(olm.all("ClusterServiceVersion", NS)) == {"servicemeshoperator.v2.6.14"}


def test_nothing_else_is_approved(olm: Olm, install: Callable[..., Run]) -> None:
    """Somebody waits with an approval of his own, and OLM adds ours to the same plan."""
    olm.subscribe("theirs", "tempo-product", installPlanApproval="Manual")
    run = install(OSSM, wait_timeout=30)
    assert run.code != 0
    assert "INSTALL_PLAN_SHARED operator 'servicemeshoperator3'" in run.said
    assert "holds tempo-operator.v0.20.0 beside servicemeshoperator3.v3.4.1" in run.said
    assert not any(plan["spec"]["approved"] for plan in olm.all("InstallPlan", NS).values())
    assert olm.all("ClusterServiceVersion", NS) == {}


def test_a_subscription_of_another_name_is_used_as_it_is(olm: Olm, install: Callable[..., Run]) -> None:
    olm.subscribe("my-mesh", "servicemeshoperator3", channel="stable-3.3")
    run = install({**OSSM, "channel": "stable-3.4"})
    assert run.code == 0, run.output
    assert "SUBSCRIPTION_DIFFERS" in run.said
    assert {name: one["spec"]["channel"] for name, one in olm.all("Subscription", NS).items()} == {
        "my-mesh": "stable-3.3"
    }
    # It was waited for all the same.
    assert olm.all("ClusterServiceVersion", NS)[V33]["status"]["phase"] == "Succeeded"
    assert install(OSSM).changed == 0

    taken = install({**OSSM, "channel": "stable-3.4", "adopt": True})
    assert taken.code == 0, taken.output
    assert olm.all("Subscription", NS)["my-mesh"]["spec"]["channel"] == "stable-3.4"
    # Adopted is not made by us.
    stays = install(OSSM, state="absent")
    assert "OPERATOR_STAYS" in stays.said
    assert "my-mesh" in olm.all("Subscription", NS)


def test_what_the_ingress_operator_brought_is_left_alone(olm: Olm, install: Callable[..., Run]) -> None:
    mark = {"ingress.operator.openshift.io/owned": ""}
    olm.subscribe("servicemeshoperator3", "servicemeshoperator3", mark, channel="stable-3.3")
    before = olm.all("Subscription", NS)["servicemeshoperator3"]["spec"]
    run = install(OSSM)
    assert run.code == 0, run.output
    assert "SUBSCRIPTION_FOUND" in run.said
    assert run.changed == 0
    assert olm.all("Subscription", NS)["servicemeshoperator3"]["spec"] == before


@pytest.mark.parametrize(
    ("switch", "value", "said"),
    [
        (
            "olm.csv-fails",
            "kiali-ossm: InstallComponentFailed: deployment quota exceeded",
            "ClusterServiceVersion kiali-operator.v2.22.0 is Failed (InstallComponentFailed: deployment quota exceeded)",
        ),
        (
            "olm.installplan-fails",
            "kiali-ossm: InstallComponentFailed: no such role",
            "InstallComponentFailed: no such role",
        ),
    ],
)
def test_what_has_failed_is_not_waited_for(
    olm: Olm, install: Callable[..., Run], switch: str, value: str, said: str
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


def test_a_package_that_left_the_catalogue(olm: Olm, install: Callable[..., Run]) -> None:
    run = install({"name": "jaeger-product"})
    assert run.code != 0
    assert "OPERATOR_LEFT_CATALOG" in run.said
    assert (
        "Waiting longer is of no use: Subscription openshift-operators/jaeger-product: OLM cannot resolve it"
        in run.said
    )
    assert "no operators found in package jaeger-product" in run.said


def test_a_catalogue_that_is_down_is_waited_for_and_named(olm: Olm, install: Callable[..., Run]) -> None:
    olm.switch("olm.catalog-down", "redhat-operators")
    run = install(KIALI, wait_timeout=12)
    assert run.code != 0
    # While it waits, it says so.
    assert (
        "[lab] waiting, 10 s: Subscription openshift-operators/kiali-ossm: OLM has made no InstallPlan yet" in run.said
    )
    assert "Not ready after 12 s: Subscription openshift-operators/kiali-ossm" in run.said
    assert "CatalogSource openshift-marketplace/redhat-operators is TRANSIENT_FAILURE" in run.said


def test_an_operator_from_a_manifest_is_left_alone(olm: Olm, install: Callable[..., Run]) -> None:
    """As seed 004 does it: definitions and a Deployment, without a Subscription."""
    install(KIALI)
    install(KIALI, state="absent")
    labels = {"app": "kiali-operator"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "operator", "image": "kiali"}]}}
    if not olm.find("Deployment", "default", "kiali-operator"):
        olm.create(
            "Deployment", "default", "kiali-operator", spec={"selector": {"matchLabels": labels}, "template": pod}
        )
    try:
        run = install(KIALI)
        assert (run.code, run.changed) == (0, 0), run.output
        assert "OPERATOR_BY_HAND operator 'kiali-ossm': Deployment default/kiali-operator" in run.said
        assert olm.all("Subscription", NS) == {}
    finally:
        olm.api.request("DELETE", KINDS["Deployment"].path("default", "kiali-operator"))


def test_namespace_group_and_definitions_come_and_go(olm: Olm, install: Callable[..., Run]) -> None:
    tempo = {"name": "tempo-product"}
    missing = install(tempo)
    assert "NAMESPACE_MISSING" in missing.said
    assert install(tempo, namespace_state="present").code == 0
    namespace = "openshift-tempo-operator"
    assert set(olm.all("OperatorGroup", namespace)) == {"servicemesh-tcp"}
    gone = install(tempo, state="absent", namespace_state="present", crd_state="absent")
    assert gone.code == 0, gone.output
    assert not olm.find("CustomResourceDefinition", "", "tempostacks.tempo.grafana.com")
    # No controller of an API-only lab finishes the removal of a namespace.
    left = olm.find("Namespace", "", namespace)
    assert left is None or "deletionTimestamp" in left["metadata"]
    assert olm.all("OperatorGroup", namespace) == {}


def test_a_definition_in_use_is_kept(olm: Olm, install: Callable[..., Run]) -> None:
    assert install(KIALI).code == 0
    olm.api.request(
        "POST",
        "/apis/kiali.io/v1alpha1/namespaces/default/kialis",
        {"apiVersion": "kiali.io/v1alpha1", "kind": "Kiali", "metadata": {"name": "kiali"}, "spec": {}},
    )
    run = install(KIALI, state="absent", crd_state="absent")
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
