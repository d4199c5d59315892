# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port a record gets: from the pool, as it was before, and never one that is somebody's."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    BACKEND,
    BACKEND_HOST,
    EDGE,
    front,
    istio_gateway,
    messages,
    owned_front,
    record,
    service,
    service_port,
    state,
    virtual_service,
)

POOL = {**EDGE, "pool": ["8081-8085"]}
ECHO = service("echo", "apps", [service_port(9000), service_port(9001), service_port(9002)])


def ports(records, gateway=POOL, cluster=None, **arguments) -> list[tuple[str, int]]:
    """Return record and port of each entry of a port map without findings."""
    found = port_map(records, [gateway], cluster, **arguments)
    assert found["findings"] == []
    return [(item["name"], item["port"]) for item in found["ports"]]


def says(records, gateway=POOL, cluster=None, **arguments) -> list[str]:
    """Return what the findings of a port map say."""
    return messages(port_map(records, [gateway], cluster, **arguments)["findings"])


def autos(*names):
    """Return records that ask for any port."""
    return [record(name, "auto") for name in names]


@pytest.mark.parametrize(
    ("records", "gateway", "got"),
    [
        # Lowest first, in the order of names, whatever the order of records.
        (autos("b", "a"), POOL, [("a", 8081), ("b", 8082)]),
        # Explicit ports of the run are left out, wherever they stand.
        ([*autos("a"), record("z", 8081)], POOL, [("z", 8081), ("a", 8082)]),
        (
            [*autos("a"), record("z", [9, "8081-8083"])],
            POOL,
            [("z", 9), ("z", 8081), ("z", 8082), ("z", 8083), ("a", 8084)],
        ),
        ([record("a", ["auto", 8081, "auto"])], POOL, [("a", 8081), ("a", 8082), ("a", 8083)]),
        (autos("a", "b"), {**POOL, "reserved": [8081, "8083-8084"]}, [("a", 8082), ("b", 8085)]),
        # Istio's own are never given out.
        (autos("a", "b"), {**EDGE, "pool": "14999-15100"}, [("a", 14999), ("b", 15100)]),
        # An explicit port may lie anywhere, unless the pool is strict.
        ([record("a", 7)], POOL, [("a", 7)]),
        ([record("a", 8085)], {**POOL, "strict_pool": True}, [("a", 8085)]),
    ],
)
def test_auto_is_the_lowest_free_port_of_the_pool(records, gateway, got):
    assert ports(records, gateway) == got


@pytest.mark.parametrize(
    "cluster",
    [
        state(owned_front(("x", 8081), set_name="other")),
        state(front([service_port(8081)], {"kubectl": [8081]})),
        state(front([service_port(8081)])),
        state(gateways=[istio_gateway(("x", 8081), name="theirs", labels={})]),
    ],
    ids=["another set", "a field manager", "by hand", "a foreign Gateway"],
)
def test_auto_goes_round_what_others_hold(cluster):
    assert ports(autos("a"), cluster=cluster) == [("a", 8082)]


SHOWN = state(owned_front(("a", 8083), ("b", 8082)))


@pytest.mark.parametrize(
    ("records", "got"),
    [
        (autos("a", "b"), [("b", 8082), ("a", 8083)]),
        # Neither a new record nor one that goes moves anything.
        (autos("a", "b", "0", "c"), [("0", 8081), ("b", 8082), ("a", 8083), ("c", 8084)]),
        (autos("a"), [("a", 8083)]),
        # What this very run withdraws is not given to the next while others are free ...
        (autos("a", "c", "d"), [("c", 8081), ("a", 8083), ("d", 8084)]),
        # ... and is where none is.
        (autos("a", "c", "d", "e", "f"), [("c", 8081), ("f", 8082), ("a", 8083), ("d", 8084), ("e", 8085)]),
        # A renamed record keeps its port, also one that was renamed already.
        ([record("x", "auto", was="b"), record("a", "auto", was="y")], [("x", 8082), ("a", 8083)]),
        # More ports of one record.
        ([record("a", ["auto", "auto"])], [("a", 8081), ("a", 8083)]),
        ([record("a", ["auto", 8083])], [("a", 8081), ("a", 8083)]),
    ],
)
def test_a_record_keeps_its_port(records, got):
    assert ports(records, cluster=SHOWN) == got


@pytest.mark.parametrize(
    "cluster",
    [
        state(owned_front(("a", 99))),
        state(gateways=[istio_gateway(("a", 99))]),
        state(owned_front(("a", 99)), gateways=[istio_gateway(("a", 99))]),
    ],
    ids=["Service only", "Gateway only", "both"],
)
def test_a_port_is_read_back_from_service_or_gateway_and_kept_outside_the_pool(cluster):
    assert ports(autos("a"), cluster=cluster) == [("a", 99)]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        # Which of them auto had found is told by the pool.
        (["auto"], [8083]),
        (["auto", "auto"], [22, 8083]),
        (["auto", 8083], [22, 8083]),
        (["auto", 22], [22, 8083]),
    ],
)
def test_a_record_that_loses_a_number_keeps_what_auto_had_found(wanted, got):
    cluster = state(owned_front(("a", 22, 10022), ("a", 8083)))
    assert [port for _name, port in ports([record("a", wanted)], cluster=cluster)] == got


def test_without_pruning_what_the_run_does_not_name_stays_taken():
    assert ports(autos("c", "d"), cluster=SHOWN, prune=False) == [("c", 8081), ("d", 8084)]
    assert says(autos("c", "d", "e", "f"), cluster=SHOWN, prune=False) == [
        "POOL_EXHAUSTED gateway 'edge': its pool 8081-8085 (5 ports) has no port left for 1 of 'auto' (record 'f');"
        " held are 3 by records of this run, 2 by records that this run keeps."
    ]


def test_the_ports_of_a_record_stay_with_their_backends():
    rules = virtual_service(8081, 8083)
    for rule, backend in zip(rules["tcp"], (9002, 9000), strict=True):
        rule["destinations"] = [{"host": BACKEND_HOST, "port": backend}]
    shown = istio_gateway(("a", 8081), ("a", 8083))
    cluster = state(owned_front(("a", 8081), ("a", 8083)), gateways=[shown], virtual_services=[rules])
    cluster["services"][0] = ECHO
    wanted = record("a", ["auto"] * 3, backend={**BACKEND, "port": "9000-9002"})
    found = port_map([wanted], [POOL], cluster)
    assert found["findings"] == []
    assert [(item["port"], item["backend"]["port"]) for item in found["ports"]] == [
        (8081, 9002),
        (8082, 9001),
        (8083, 9000),
    ]


@pytest.mark.parametrize(
    ("records", "gateway", "cluster", "said"),
    [
        (
            [*autos("b"), record("a", [8082, 7])],
            POOL,
            SHOWN,
            "PORT_TAKEN record 'a': port 8082 on gateway edge is already held by record 'b' of the same set.",
        ),
        (
            [record("a", "8081-8083"), record("b", ["8083-8090", 8082])],
            POOL,
            None,
            "PORT_TAKEN record 'b': port 8082-8083 on gateway edge is already held by record 'a' of the same set.",
        ),
        (
            [record("a", [7, "8084-8090"])],
            {**POOL, "strict_pool": True},
            None,
            "PORT_OUTSIDE_POOL record 'a': port 7, 8086-8090 lies outside the pool 8081-8085 of gateway edge, which has"
            " strict_pool.",
        ),
        # A rule that came later than the port does not move it.
        (
            autos("a"),
            {**POOL, "reserved": "8083-8084"},
            SHOWN,
            "PORT_RESERVED_BY_GATEWAY record 'a': port 8083 is reserved on gateway edge (reserved: 8083-8084).",
        ),
        (
            autos("a"),
            {**EDGE, "pool": 7001, "strict_pool": True},
            SHOWN,
            "PORT_OUTSIDE_POOL record 'a': port 8083 lies outside the pool 7001 of gateway edge, which has"
            " strict_pool.",
        ),
        (
            [record("a", 5)],
            {**EDGE, "reserved": [5, 6]},
            None,
            "PORT_RESERVED_BY_GATEWAY record 'a': port 5 is reserved on gateway edge (reserved: 5-6).",
        ),
        (
            autos("a", "b"),
            EDGE,
            None,
            "POOL_MISSING gateway 'edge': records 'a', 'b' ask for port 'auto', but the gateway has no pool to take it"
            " from.",
        ),
        (
            [*autos("a"), record("b", ["auto", "auto"])],
            {**EDGE, "pool": "8081-8084", "reserved": 8084},
            state(owned_front(("x", 8082), ("y", 8083), set_name="other")),
            "POOL_EXHAUSTED gateway 'edge': its pool 8081-8084 (4 ports) has no port left for 2 of 'auto' (record 'b');"
            " held are 2 by set 'other' (Service gateways/edge), 1 by records of this run, 1 by the gateway's"
            " reservations.",
        ),
    ],
)
def test_what_stands_in_the_way(records, gateway, cluster, said):
    assert says(records, gateway, cluster) == [said]


def test_a_long_list_of_records_is_cut_short():
    (said,) = says(autos(*(f"r{number:02}" for number in range(12))), EDGE)
    assert "'r08', 'r09', ... ask for port" in said


def test_ten_thousand_ports_need_no_more_work_than_ten_times_a_thousand():
    # Work is counted, not timed: looking into the pool is what could grow with its square.
    class Counted(frozenset):
        looks = 0

        def __contains__(self, item):
            Counted.looks += 1
            return super().__contains__(item)

    from ansible_collections.servicemesh.tcp.plugins.module_utils._allocate import allocate

    def looks(count):
        Counted.looks = 0
        gateway = {"name": "edge", "pool": Counted(range(20000, 20000 + count)), "strict_pool": True}
        gateway |= {"reserved": Counted(), "claims": None}
        entry = {"was": None, "port": None, "backend": {"namespace": "apps", "port": 9000}}
        got, findings = allocate(gateway, [{**entry, "name": str(n)} for n in range(count)], {}, [], "default")
        assert (len(got), findings) == (count, [])
        return Counted.looks

    assert looks(10000) == 10 * looks(1000)
