# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m standins`: one process for all stand-ins of a lab. `lab up --with` starts it; README.md says the rest."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

from .client import Api
from .planes import Planes
from .proxy import Upstream, certificate, serve
from .runner import Runner

# What each stand-in looks at.
WATCHES = {
    "olm": ("Subscription", "InstallPlan", "ClusterServiceVersion", "CatalogSource", "OperatorGroup"),
    "ossm2": (
        "ServiceMeshControlPlane",
        "ServiceMeshMemberRoll",
        "ServiceMeshMember",
        "ClusterServiceVersion",
        "Deployment",
        "Service",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
    ),
    "sail": ("Istio", "IstioCNI", "IstioRevision", "IstioRevisionTag", "ClusterServiceVersion", "Deployment"),
    "openshift": ("ClusterVersion", "ClusterOperator", "Infrastructure", "Route", "Subscription", "InstallPlan"),
}


def main(arguments: list[str]) -> None:
    """Run until killed."""
    parser = argparse.ArgumentParser(prog="standins")
    parser.add_argument("--lab", required=True, type=Path, help="the lab's folder")
    parser.add_argument("--with", dest="parts", required=True, help="which stand-ins, with commas")
    parser.add_argument("--code", help="tells processes of different code apart")
    parser.add_argument("--pods", action="store_true", help="Deployments can run here")
    options = parser.parse_args(arguments)
    _log_to(options.lab / "logs", options.parts.split(","))
    direct = options.lab / "kubeconfig-direct"
    kubeconfig = direct if direct.exists() else options.lab / "kubeconfig"
    api = Api(str(kubeconfig))
    parts = {
        name: (importlib.import_module(f"standins.{name}").reconcile, WATCHES[name])
        for name in options.parts.split(",")
    }
    settings = json.loads((options.lab / "standins.json").read_text())
    folder = options.lab / "control-planes"
    planes = Planes(api, folder, str(kubeconfig), settings) if "istioctl" in settings else None
    if proxy := settings.get("proxy"):
        serve(_upstream(api), certificate(options.lab), proxy["port"], proxy["key"])
    Runner(api, parts, options.pods, planes).run((options.lab / "standins.ready").touch)


def _upstream(api: Api) -> Upstream:
    """The API server as the admin's kubeconfig says it."""
    where, config = urlsplit(api.configuration.host), api.configuration
    plain = ssl.create_default_context(cafile=config.ssl_ca_cert)
    admin = ssl.create_default_context(cafile=config.ssl_ca_cert)
    if config.cert_file:
        admin.load_cert_chain(config.cert_file, config.key_file)
    token = next((str(one["value"]).removeprefix("Bearer ") for one in config.auth_settings().values()), "")
    return Upstream(str(where.hostname), where.port or 443, plain, admin, token)


def _log_to(folder: Path, parts: list[str]) -> None:
    """One log per stand-in; what belongs to none goes where the process's output goes."""
    form = logging.Formatter("%(asctime)s %(message)s")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stdout)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    for name in parts:
        handler = logging.FileHandler(folder / f"standin-{name}.log")
        handler.setFormatter(form)
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False


if __name__ == "__main__":
    main(sys.argv[1:])
