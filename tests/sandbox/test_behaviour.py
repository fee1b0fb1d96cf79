"""The sandbox fails in the ways that it is told to."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.sandbox.conftest import Client
from tests.sandbox.samples import ORG, SAMPLES

ENTITY = "entity.sls.epilot.io"
#: What has not come by then does not come; a busy machine takes long.
WITHIN_S = 60


def _behave(client: Client, **behaviour: Any) -> None:
    assert client.send("PUT", "/_sandbox/behaviour", behaviour).status == 200


def _list(client: Client) -> Any:
    return client.call("entity", "searchEntities", body={"q": "_schema:product"})


def test_fault_strikes_its_operation_as_often_as_it_says(client: Client, alpha: Client) -> None:
    _behave(
        client, faults=[{"host": ENTITY, "operation": "searchEntities", "kind": "status", "status": 503, "count": 2}]
    )
    assert alpha.call("automation", "searchFlows").status == 200
    assert alpha.call("entity", "listTaxonomies").status == 200
    assert [_list(alpha).status for _ in range(3)] == [503, 503, 200]


def test_fault_status_has_the_error_shape_of_the_api(client: Client, alpha: Client) -> None:
    _behave(client, faults=[{"kind": "status", "status": 502}])
    assert _list(alpha).json() == {"status": 502, "error": "injected fault"}
    assert alpha.call("webhooks", "getConfigs").json() == {"message": "injected fault"}


def test_throttle_says_when_to_come_back(client: Client, alpha: Client) -> None:
    _behave(client, faults=[{"kind": "throttle", "count": 1}])
    reply = _list(alpha)
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")


def test_malformed_answer_is_no_json(client: Client, alpha: Client) -> None:
    _behave(client, faults=[{"kind": "malformed", "count": 1}])
    with pytest.raises(ValueError, match=r"Expecting|Extra|Unterminated"):
        _list(alpha).json()


def test_same_seed_gives_the_same_faults(client: Client, alpha: Client) -> None:
    runs = []
    for _ in range(2):
        _behave(client, seed=5, faults=[{"kind": "status", "status": 500, "probability": 0.5}])
        runs.append([_list(alpha).status for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_rate_limit_is_per_organisation_and_names_a_wait(client: Client, alpha: Client, beta: Client) -> None:
    # So slow that no pause of this machine fills the bucket again.
    _behave(client, rate_limits=[{"host": ENTITY, "per_second": 0.001, "burst": 2}])
    assert [_list(alpha).status for _ in range(3)] == [200, 200, 429]
    assert 900 < int(_list(alpha).headers["retry-after"]) <= 1000
    assert _list(beta).status == 200
    assert alpha.call("automation", "searchFlows").status == 200


def test_latency_and_slowness_take_their_time(client: Client, alpha: Client) -> None:
    _behave(client, latency_ms=20, faults=[{"kind": "slow", "delay_ms": 30}])
    started = time.perf_counter()
    assert _list(alpha).status == 200
    assert time.perf_counter() - started >= 0.05


@pytest.mark.parametrize(
    "behaviour",
    [
        {"faults": [{"kind": "meteor"}]},
        {"faults": [{}]},
        {"weather": 1},
        {"rate_limits": [{"host": "x"}]},
        {"faults": 3},
    ],
)
def test_unknown_behaviour_is_refused(client: Client, behaviour: Any) -> None:
    assert client.send("PUT", "/_sandbox/behaviour", behaviour).status == 400


class Network:
    """A client of the real server, where a cut connection can be seen."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self.control("POST", "reset", what="all")
        token = self.control("POST", "tokens", org_id=ORG).json()["token"]
        self._session.headers["authorization"] = f"Bearer {token}"

    def control(self, method: str, path: str, **body: Any) -> requests.Response:
        return self._session.request(method, f"{self._url}/_sandbox/{path}", json=body, timeout=WITHIN_S)

    def create(self, name: str) -> requests.Response:
        url = f"{self._url}/{ENTITY}/v1/entity/product"
        return self._session.post(url, json={"name": name}, timeout=WITHIN_S)

    def names(self) -> list[str]:
        resources = self.control("GET", f"orgs/{ORG}/resources?type=product").json()["resources"]
        return [item["payload"]["name"] for item in resources]


def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def assert_made_after(network: Network, name: str, began: float, delay_s: float) -> None:
    """It is made, and not before its time, however long this machine took to look."""
    until(lambda: network.names() == [name])
    assert time.monotonic() - began >= delay_s
    until(lambda: network.control("GET", "requests").json()["summary"]["late"] == 0)


@pytest.fixture
def network(server_url: str) -> Network:
    return Network(server_url)


@pytest.mark.parametrize(("kind", "done"), [("reset", []), ("lost_response", ["A"])])
def test_connection_is_cut_before_or_after_the_work(network: Network, kind: str, done: list[str]) -> None:
    network.control("PUT", "behaviour", faults=[{"kind": kind, "operation": "createEntity", "count": 1}])
    with pytest.raises(requests.ConnectionError):
        network.create("A")
    assert network.names() == done
    assert network.create("B").status_code == 201
    summary = network.control("GET", "requests").json()["summary"]
    assert summary["by_status"] == {"0": 1, "201": 1}


def test_late_work_is_done_after_the_connection_was_cut(network: Network) -> None:
    network.control("PUT", "behaviour", faults=[{"kind": "late", "delay_ms": 150, "count": 1}])
    began = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        network.create("A")
    assert_made_after(network, "A", began, 0.15)


def test_a_backend_goes_on_after_its_gateway_has_given_up(network: Network) -> None:
    network.control("PUT", "behaviour", faults=[{"kind": "gateway", "delay_ms": 150, "count": 1}])
    began = time.monotonic()
    reply = network.create("A")
    assert (reply.status_code, reply.json()) == (504, {"message": "Endpoint request timed out"})
    assert_made_after(network, "A", began, 0.15)


def test_log_tells_what_was_asked_by_whom_and_how_it_ended(client: Client, alpha: Client) -> None:
    client.send("POST", "/_sandbox/reset", {"what": "requests"})
    ident = alpha.call("entity", "createEntity", "tax", body=SAMPLES["tax"].body).json()["_id"]
    alpha.call("entity", "getEntityV2", "tax", ident)
    client.call("entity", "getEntityV2", "tax", ident)
    log = client.send("GET", "/_sandbox/requests").json()
    assert log["summary"]["by_operation"] == {"createEntity": 1, "getEntityV2": 2}
    assert log["summary"]["by_status"] == {"201": 1, "200": 1, "401": 1}
    assert (log["summary"]["total"], log["summary"]["max_in_flight"]) == (3, 1)
    entry = log["requests"][1]
    assert entry["path"] == f"/v2/entity/tax/{ident}"
    assert (entry["org_id"], entry["host"], entry["method"], entry["status"]) == (ORG, ENTITY, "GET", 200)
    assert log["requests"][2]["org_id"] is None
    assert [entry["wrote"] for entry in log["requests"]] == [f"tax:{ident}", None, None]


def test_log_tells_what_was_written_although_nobody_was_told(network: Network) -> None:
    network.control("PUT", "behaviour", faults=[{"kind": "lost_response", "count": 1}])
    with pytest.raises(requests.ConnectionError):
        network.create("A")
    [entry] = network.control("GET", "requests").json()["requests"]
    assert entry["status"] == 0
    assert entry["wrote"].startswith("product:")


def test_held_requests_are_in_flight_until_the_behaviour_is_replaced(network: Network) -> None:
    def summary() -> Any:
        return network.control("GET", "requests").json()["summary"]

    network.control("PUT", "behaviour", faults=[{"kind": "hold", "operation": "createEntity"}])
    with ThreadPoolExecutor(3) as pool:
        replies = [pool.submit(network.create, name) for name in "ABC"]
        until(lambda: summary()["held"] == 3)
        assert (network.names(), [reply.done() for reply in replies]) == ([], [False] * 3)
        network.control("PUT", "behaviour")
        assert [reply.result().status_code for reply in replies] == [201] * 3
    assert (summary()["held"], summary()["max_in_flight"]) == (0, 3)


def test_behaviour_ends_with_a_reset(client: Client, alpha: Client) -> None:
    _behave(client, faults=[{"kind": "status", "status": 500}])
    client.send("POST", "/_sandbox/reset", {"what": "behaviour"})
    assert _list(alpha).status == 200
