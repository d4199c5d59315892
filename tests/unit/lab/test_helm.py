# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for Istio's charts from what istioctl is given."""

from __future__ import annotations

from kindlab import helm, mesh


def test_the_charts_get_what_istioctl_gets():
    values = helm.chart_values(mesh.settings("hub.example/istio", "t1", built=True))
    assert (values["global"]["hub"], values["global"]["tag"]) == ("hub.example/istio", "t1")
    assert values["global"]["proxy"]["resources"]["requests"] == {"cpu": "10m", "memory": "32Mi"}
    # A text would be true for a chart; an environment takes nothing but texts.
    assert values["telemetry"] == {"enabled": False}
    assert values["pilot"]["autoscaleEnabled"] is False
    assert values["pilot"]["env"]["PILOT_ENABLE_ALPN_FILTER"] == "false"
    assert "profile" not in values
