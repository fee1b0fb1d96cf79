from dataclasses import replace
from types import SimpleNamespace

import pytest

from shared.domain.errors import (
    ConflictError,
    CredentialsExpiredError,
    DownstreamRejectedError,
    DownstreamUnavailableError,
)
from shared.domain.references import Identified
from shared.domain.resource_type import NaturalKey, ResourceKey
from shared.domain.sync_job import Job, JobStatus
from shared.use_cases import fetch_sources as module
from shared.use_cases.closure import read_closure, read_identifiers, read_sources
from shared.use_cases.fetch_sources import fetch_sources, merge_patch
from shared.use_cases.sync_ports import StepInput, request_key
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.sync_types import CATALOGUE, DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import MemoryPayloads

NOW = 1_800_000_000.0
JOURNEY_KEY = ResourceKey("journey", "journey-00000001")
SCHEMA_KEY = ResourceKey("schema", "contact")


class Jobs:
    """The header of one job."""

    def __init__(self, job):
        self.job = job
        self.error = None

    def start_job(self, *_):
        if self.job.status.final:
            raise ConflictError("It is final.")
        return self.job

    def enter_phase(self, *_):
        pass

    def stop_for(self, _org, _job, error):
        self.error = error


class Index:
    """An index of the source, built some seconds ago."""

    def __init__(self, identifiers, age_s=60.0, status="ready"):
        self.identifiers = identifiers
        self.age_s = age_s
        self.status = status

    def find_state(self, _org):
        built = module.datetime.fromtimestamp(NOW - self.age_s, module.datetime.now().astimezone().tzinfo)
        return SimpleNamespace(status_at=lambda _now: self.status, last_built_at=built.isoformat())

    def load_identifiers(self, _org):
        return self.identifiers


class Crawl:
    """One job's phase_0 on the source."""

    def __init__(self):
        self.source = FakeConfigRepository("source-org", page_size=50)
        self.payloads = MemoryPayloads()
        self.index = Index({})
        self.catalogue = CATALOGUE
        self.job = Job(
            id="job",
            org_id="org",
            user_id="",
            name="",
            status=JobStatus.IN_PROGRESS,
            direction="push",
            source_org_id="source-org",
            target_org_id="target-org",
            dry_run=False,
            include_dependencies=True,
            match="heuristic",
            started_at="",
        )
        self.time_left = 120.0
        self.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
        self.source.add(SCHEMA, {"slug": "contact", "name": "Contact"})
        self.source.add(FLOW, {"id": "flow-00000001", "name": "Flow"})
        self.add_journey(flow="flow-00000001")

    def add_journey(self, **more):
        journey = {"id": JOURNEY_KEY.id, "name": "Journey", "secret": "s3cret", "design": "design-00000001"}
        self.source.add(JOURNEY, {**journey, "schema": "contact", **more})

    def request(self, *keys, **more):
        resources = [{"type": key.type, "id": key.id} for key in keys]
        self.payloads.put(request_key("org", "job"), {"resources": resources, **more})

    def run(self):
        self.jobs = Jobs(self.job)
        ports = SimpleNamespace(
            lineage=SimpleNamespace(
                find_claims=lambda *_: {}, find_target_claims=lambda *_: {}, find_entries=lambda *_: {}
            ),
            catalogue=self.catalogue,
            jobs=self.jobs,
            payloads=self.payloads,
            open_repository=lambda _job, _role: self.source,
            now=lambda: NOW,
        )
        step = StepInput(org_id="org", job_id="job", execution_id="e", deadline=NOW + self.time_left)
        self.answer = fetch_sources(step, ports, self.index)
        if self.answer["status"] == "done":
            self.closure = read_closure(ports, "org", "job")
            self.sources = read_sources(ports, "org", "job", self.closure, self.closure.parts)
            self.identifiers = read_identifiers(ports, "org", "job")
        return self.answer


@pytest.fixture
def crawl():
    return Crawl()


def test_follows_references_until_nothing_new_appears(crawl):
    crawl.request(JOURNEY_KEY)

    assert crawl.run()["status"] == "done"
    assert {key.type for key in crawl.sources} == {"journey", "design", "schema", "flow"}
    assert crawl.answer["types"] == ["design", "flow", "journey", "schema"]


def test_removes_secrets_before_anything_is_stored(crawl):
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert "s3cret" not in repr(crawl.payloads.values)


def test_tells_what_was_selected_from_what_is_reached_by_name_only(crawl):
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert crawl.sources[JOURNEY_KEY].selected
    assert crawl.sources[SCHEMA_KEY].by_name_only
    assert not crawl.sources[ResourceKey("design", "design-00000001")].by_name_only

    crawl.payloads.values.clear()
    crawl.request(JOURNEY_KEY, SCHEMA_KEY)
    crawl.run()
    assert not crawl.sources[SCHEMA_KEY].by_name_only


def test_finds_known_ids_inside_text_by_a_fresh_index(crawl):
    crawl.add_journey(note="see kept-00000009 for more")
    known = ResourceKey("flow", "kept-00000009")
    crawl.source.add(FLOW, {"id": known.id, "name": "Kept"})
    crawl.index = Index({known.id: [Identified(known)]})
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert known in crawl.sources
    assert crawl.source.calls["list", "flow"] == 0


@pytest.mark.parametrize("index", [Index({}, age_s=4000), Index({}, status="building")])
def test_lists_the_source_live_where_the_index_is_old_or_not_ready(crawl, index):
    crawl.add_journey(note="see kept-00000009 for more")
    crawl.source.add(FLOW, {"id": "kept-00000009", "name": "Kept"})
    crawl.index = index
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert ResourceKey("flow", "kept-00000009") in crawl.sources
    assert crawl.source.calls["get", "flow"] == 0


def test_what_a_live_listing_had_to_get_one_by_one_is_not_fetched_again(crawl):
    summaries = replace(JOURNEY.list, whole=False)
    known_by_key = replace(JOURNEY, list=summaries, fields=replace(JOURNEY.fields, aliases=("key",)))
    crawl.catalogue = CATALOGUE | {"journey": known_by_key}
    crawl.index = Index({}, status="building")
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert crawl.sources[JOURNEY_KEY].payload["design"] == "design-00000001"
    assert crawl.source.calls["get", "journey"] == 1


def test_without_dependencies_referents_are_fetched_but_get_no_row(crawl):
    crawl.job = replace(crawl.job, include_dependencies=False)
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert crawl.closure.referents == crawl.sources.keys() - {JOURNEY_KEY}


def test_a_referent_that_is_gone_is_marked_and_a_selected_one_fails(crawl):
    crawl.add_journey(flow="flow-gone0001")
    crawl.request(JOURNEY_KEY, ResourceKey("design", "design-gone01"))
    crawl.run()

    assert crawl.sources[ResourceKey("flow", "flow-gone0001")].error.code == "NOT_FOUND"
    assert crawl.sources[ResourceKey("design", "design-gone01")].error.code == "NOT_FOUND"


def test_an_unselected_referent_whose_id_is_refused_is_absent(crawl):
    crawl.source.fail("get", "schema", DownstreamRejectedError("no slug"))
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert crawl.sources[SCHEMA_KEY].error.code == "NOT_FOUND"


def test_hands_back_and_goes_on_where_it_was(crawl):
    crawl.request(JOURNEY_KEY)
    crawl.time_left = 0.0
    assert crawl.run()["status"] == "more"

    crawl.time_left = 120.0
    assert crawl.run()["status"] == "done"
    assert JOURNEY_KEY in crawl.sources


def test_an_api_that_is_not_there_is_tried_again_and_then_fails_the_resource_alone(crawl):
    crawl.source.fail("get", "flow", DownstreamUnavailableError("It is not there."))
    crawl.request(JOURNEY_KEY)

    assert [crawl.run()["status"] for _ in range(5)] == ["wait"] * 4 + ["done"]
    assert crawl.sources[ResourceKey("flow", "flow-00000001")].error.code == "DOWNSTREAM_UNAVAILABLE"


def test_a_closure_over_the_limit_ends_the_job(crawl, monkeypatch):
    monkeypatch.setattr(module, "MAX_CLOSURE", 2)
    crawl.request(JOURNEY_KEY)

    assert crawl.run()["status"] == "failed"
    assert crawl.jobs.error.code == "CLOSURE_TOO_LARGE"


def test_a_refused_token_ends_the_job(crawl):
    crawl.source.fail("get", "journey", CredentialsExpiredError("401"))
    crawl.request(JOURNEY_KEY)

    assert crawl.run()["code"] == "CREDENTIALS_EXPIRED"
    assert crawl.jobs.error.code == "CREDENTIALS_EXPIRED"


def test_a_cancelled_job_is_not_fetched(crawl):
    crawl.job = replace(crawl.job, status=JobStatus.CANCELLED)
    crawl.request(JOURNEY_KEY)

    assert crawl.run()["code"] == "JOB_STOPPED"
    assert crawl.source.calls.total() == 0


def test_applies_overrides_and_fingerprints_what_they_were_applied_to(crawl):
    override = {"name": "Repaired", "secret": "mine", "flow": None}
    crawl.request(JOURNEY_KEY, payload_overrides={str(JOURNEY_KEY): override})
    crawl.run()

    config = crawl.sources[JOURNEY_KEY]
    assert config.payload["name"] == "Repaired"
    assert "flow" not in config.payload
    assert "secret" not in config.payload
    assert config.overridden
    assert config.source_fingerprint
    assert config.override_fingerprint


def test_a_retry_resolves_what_is_finished_without_a_row(crawl):
    crawl.request(JOURNEY_KEY, finished=[["design", "design-00000001"]])
    crawl.run()

    assert crawl.closure.referents == {ResourceKey("design", "design-00000001")}


MAPPING_OF_JOURNEY = replace(MAPPING, natural_key=NaturalKey(fields=(("journey",),)))
OTHER_KEY = ResourceKey("journey", "journey-00000002")
MAPPING_KEY = ResourceKey("mapping", "mapping-00000001")


def plant_mapping(crawl):
    """A journey, the mapping that it names, and the journey that the mapping's natural key names."""
    crawl.catalogue = {**CATALOGUE, "mapping": MAPPING_OF_JOURNEY}
    crawl.source.add(MAPPING, {"id": MAPPING_KEY.id, "journey": OTHER_KEY.id, "text": "flow-00000001"})
    crawl.source.add(JOURNEY, {"id": OTHER_KEY.id, "name": "B", "design": "design-00000001"})
    journey = {"id": JOURNEY_KEY.id, "name": "A", "mapping": {"id": MAPPING_KEY.id}}
    crawl.source.configs["journey"][JOURNEY_KEY.id] = journey
    return journey


def test_what_the_natural_key_of_a_referent_names_is_a_referent_too(crawl):
    plant_mapping(crawl)
    crawl.job = replace(crawl.job, include_dependencies=False)
    crawl.request(JOURNEY_KEY)
    crawl.run()

    assert crawl.closure.referents == {MAPPING_KEY, OTHER_KEY}
    assert crawl.closure.known == {JOURNEY_KEY, MAPPING_KEY, OTHER_KEY}


def test_what_a_natural_key_named_first_gets_its_row_once_something_needs_it(crawl):
    journey = plant_mapping(crawl)
    journey["flow"] = "flow-00000001"
    crawl.source.configs["flow"]["flow-00000001"]["journeys"] = ["journey-00000003"]
    crawl.source.add(JOURNEY, {"id": "journey-00000003", "name": "C", "next": OTHER_KEY.id})
    crawl.request(JOURNEY_KEY, finished=[[*MAPPING_KEY]])
    crawl.run()

    assert crawl.closure.referents == {MAPPING_KEY}
    assert ResourceKey("design", "design-00000001") in crawl.closure.known


# https://www.rfc-editor.org/rfc/rfc7386#appendix-A
@pytest.mark.parametrize(
    ("original", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merges_as_the_standard_has_it(original, patch, merged):
    assert merge_patch(original, patch) == merged
