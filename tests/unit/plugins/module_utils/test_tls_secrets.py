# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets with certificates: what is kept of them, what is told of them, and that nothing else leaves the reading."""

from __future__ import annotations

import datetime
import json
import os

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _publish
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_secrets import (
    check_secrets,
    holds_for,
    project,
    read_secrets,
    wanted_secrets,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.certificates import NOW, encoded, pair, secret
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster, publish, wanted

CERTIFICATE, KEY = pair("a.example.com", "*.b.example.com")
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
GOOD = {
    "wrong": "",
    "names": ["a.example.com", "*.b.example.com"],
    "end": "2036-11-18",
    "days": 3650,
    "authority": False,
}


def ended(*hosts, mode="terminate", **tls):
    """Return a record whose TLS the gateway ends."""
    more = {"probe": {"mode": "none"}} if mode == "mutual" else {}
    settings = {"mode": mode, "secret": "cert", **tls}
    return record(protocol="tls", port=8443, hosts=list(hosts), tls=settings, **more)


def said(secrets, *hosts, **tls):
    """Return what is told of a record's Secrets, as they were read."""
    settings = {"mode": "terminate", "secret": "cert", "hosts": list(hosts) or ["a.example.com"], "ca": None, **tls}
    found = check_secrets([{"name": "a", "namespace": "gateways", "tls": settings}], secrets)
    return [f"{item['code']} {item['message']}" for item in found]


def test_what_is_kept_of_a_secret():
    assert project(encoded(tls_crt=CERTIFICATE, tls_key=KEY), NOW) == GOOD
    # A chain, the names that Istio takes as well, and an authority.
    chain = CERTIFICATE + pair("authority")[0]
    assert project(encoded(cert=chain, key=KEY, ca_crt=CERTIFICATE), NOW) == {**GOOD, "authority": True}
    assert project(encoded(cacert=CERTIFICATE), NOW)["authority"]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({}, "it has no tls.crt and no tls.key"),
        (encoded(tls_crt=CERTIFICATE), "it has no tls.key"),
        (encoded(tls_crt="nothing", tls_key=KEY), "its tls.crt is no certificate in PEM"),
        ({"tls.crt": "%", "tls.key": "%"}, "its tls.crt is no certificate in PEM"),
        (encoded(tls_crt=f"{BEGIN}\nAAAA\n{END}", tls_key=KEY), "its tls.crt is no certificate in PEM"),
        (encoded(tls_crt=CERTIFICATE, tls_key=CERTIFICATE), "its tls.key is no private key in PEM"),
        (encoded(tls_crt=CERTIFICATE, tls_key=pair("other")[1]), "its tls.key is not the key of its tls.crt"),
    ],
    ids=range(7),
)
def test_what_is_no_certificate_with_its_key(data, wrong):
    before = len(os.listdir("/proc/self/fd"))
    assert project(data, NOW)["wrong"] == wrong
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("host", "held"),
    [
        ("a.example.com", True),
        ("x.b.example.com", True),
        ("*.b.example.com", True),
        ("b.example.com", False),
        ("x.y.b.example.com", False),
        ("c.example.com", False),
        ("*.example.com", False),
    ],
)
def test_which_names_a_certificate_holds_for(host, held):
    assert holds_for(GOOD["names"], host) is held


def test_what_is_told():
    place = "gateways/cert"
    assert said({place: GOOD}) == []
    assert said(None) == []
    assert said({place: None}) == [
        "SECRET_MISSING record 'a': there is no Secret gateways/cert, which the certificate is to come from."
    ]
    assert [item.split()[0] for item in said({place: {"unseen": True}})] == ["SECRET_UNSEEN"]
    assert said({place: {**GOOD, "wrong": "it has no tls.key"}}) == [
        "SECRET_INVALID record 'a': Secret gateways/cert cannot serve as certificate: it has no tls.key."
    ]
    assert said({place: GOOD}, "a.example.com", "c.example.com") == [
        "SECRET_HOSTS record 'a': Secret gateways/cert: its certificate is for a.example.com, *.b.example.com, and not"
        " for c.example.com."
    ]
    assert said({place: GOOD}, "*") == []
    assert said({place: {**GOOD, "days": 29}}) == [
        "SECRET_ENDS record 'a': Secret gateways/cert: its certificate ends on 2036-11-18, in 29 days."
    ]
    assert said({place: {**GOOD, "days": 30}}) == []
    assert [item.split()[0] for item in said({place: {**GOOD, "days": -1}})] == ["SECRET_INVALID"]


def test_where_the_authority_of_clients_is_looked_for():
    place, beside = "gateways/cert", "gateways/cert-cacert"
    with_one = {**GOOD, "authority": True}
    only = {**GOOD, "wrong": "it has no tls.crt", "authority": True}
    assert said({place: with_one, beside: None}, mode="mutual") == []
    assert said({place: GOOD, beside: only}, mode="mutual") == []
    assert said({place: GOOD, beside: only}, mode="mutual", ca="cert-cacert") == []
    assert "nor a Secret gateways/cert-cacert with one" in said({place: GOOD, beside: None}, mode="mutual")[0]
    assert "SECRET_MISSING" in said({place: with_one, beside: None}, mode="mutual", ca="cert-cacert")[0]
    assert "SECRET_INVALID" in said({place: GOOD, beside: only}, mode="mutual", ca="cert")[0]


def test_which_secrets_a_run_reads():
    assert wanted_secrets([ended("a.example.com"), record("b"), None, {"tls": "x"}], [EDGE]) == [("gateways", "cert")]
    assert wanted_secrets([ended("a.example.com", mode="mutual")], [EDGE]) == [
        ("gateways", "cert"),
        ("gateways", "cert-cacert"),
    ]
    assert wanted_secrets([ended("a.example.com")], []) == []


def test_a_run_looks_in_the_gateway_s_namespace_only():
    api = mesh_cluster()
    api.add(secret("cert", "apps", "a.example.com"))
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [ended("a.example.com")])
    assert [item["code"] for item in refused.value.findings] == ["SECRET_MISSING"]
    api.add(secret("cert", "gateways", "a.example.com"))
    assert publish(api, [ended("a.example.com")])


def test_a_right_that_lacks_is_told_and_stops_nothing():
    api = mesh_cluster()
    api.add(secret("cert", "gateways", "a.example.com"))
    api.refuse("GET", new_object("Secret", "cert", "gateways", {}), 403, "Forbidden", "no")
    found = _publish.publish(api, wanted(ports=[ended("a.example.com")], gateways=[EDGE_REFERENCE]))
    assert [item["code"] for item in found.plan["findings"]] == ["SECRET_UNSEEN"]


def test_no_key_leaves_the_reading():
    api = mesh_cluster()
    api.add(new_object("Secret", "cert", "gateways", {}, data=encoded(tls_crt=CERTIFICATE, tls_key=KEY)))
    read = read_secrets(api, [("gateways", "cert"), ("gateways", "none")])
    end = datetime.datetime(2036, 11, 18, tzinfo=datetime.UTC).date()
    assert read == {"gateways/cert": {**GOOD, "days": read["gateways/cert"]["days"]}, "gateways/none": None}
    assert abs(read["gateways/cert"]["days"] - (end - datetime.date.today()).days) <= 1
    assert not any(line in json.dumps(read) for line in [*KEY.splitlines(), *CERTIFICATE.splitlines()])
