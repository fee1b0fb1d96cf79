import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from shared.domain.errors import (
    ConflictError,
    CredentialsExpiredError,
    DownstreamRejectedError,
    DownstreamUnavailableError,
)
from shared.domain.job import Job, JobStatus
from shared.domain.paths import merge_patch
from shared.domain.references import Identified
from shared.domain.resource_type import NaturalKey, ResourceKey
from shared.use_cases import fetch_sources as module
from shared.use_cases.fetch_sources import fetch_sources
from shared.use_cases.jobs.closure import read_closure, read_identifiers, read_sources
from shared.use_cases.jobs.payloads import request_key
from shared.use_cases.jobs.step import StepInput
from shared.use_cases.reading.list_organisation import KeptPayloads
from shared.use_cases.writing import job_guard
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.sync_types import CATALOGUE, DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import MemoryPayloads, ProcessDiedError

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

    def get_job(self, *_):
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
            execution_id="e",
        )
        self.time_left = 120.0
        self.time = NOW
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
            now=lambda: self.time,
        )
        step = StepInput(org_id="org", job_id="job", execution_id="e", deadline=self.time + self.time_left)
        self.answer = fetch_sources(step, ports, self.index)
        if self.answer["status"] == "done":
            self.closure = read_closure(ports, "org", "job")
            self.sources = read_sources(ports, "org", "job", self.closure, self.closure.parts)
            self.identifiers = read_identifiers(ports, "org", "job")
        return self.answer

    def run_to_the_end(self):
        answers = [self.run()["status"]]
        while answers[-1] in ("more", "wait"):
            answers.append(self.run()["status"])
        return answers


class SlowSource(FakeConfigRepository):
    """A source each of whose answers takes a second of the crawl's time.

    Attributes:
        gets: how often each config was asked for.
        broken: ids for which it has answers of its own: errors.
        on_page: called with the number of every page of journeys before it is answered.
        on_get: called with the id of every config before it is answered.
    """

    def __init__(self, crawl, page_size):
        super().__init__("source-org", page_size=page_size)
        self.crawl = crawl
        self.gets = Counter()
        self.broken = {}
        self.on_page = lambda number: None
        self.on_get = lambda config_id: None
        self.lasts = 1.0

    def get_config(self, resource_type, config_id):
        with self._lock:
            self.crawl.time += self.lasts
            self.gets[config_id] += 1
        self.on_get(config_id)
        if config_id in self.broken:
            raise self.broken[config_id]
        return super().get_config(resource_type, config_id)

    def list_pages(self, resource_type, resume=None):
        for page in super().list_pages(resource_type, resume):
            with self._lock:
                self.crawl.time += self.lasts
            if resource_type.name == "journey":
                self.on_page(self.calls["list", "journey"])
            yield page


class Payloads(MemoryPayloads):
    """Payloads whose process dies, once, at a word that stands in a key: before the value is stored, or behind that."""

    def __init__(self, dies_before="", dies_after=""):
        super().__init__()
        self.dies_before, self.dies_after = dies_before, dies_after

    def put(self, key, value):
        self._die("dies_before", key)
        super().put(key, value)
        self._die("dies_after", key)

    def put_once(self, key, value):
        self._die("dies_before", key)
        stored = super().put_once(key, value)
        self._die("dies_after", key)
        return stored

    def _die(self, name, key):
        word = getattr(self, name)
        if word and word in key:
            setattr(self, name, "")
            raise ProcessDiedError


@pytest.fixture
def crawl():
    return Crawl()


@pytest.fixture
def large():
    """A source with a stale index and 300 journeys whose list is a summary: another key of each is in its payload."""
    crawl = Crawl()
    known_by_key = replace(
        JOURNEY, list=replace(JOURNEY.list, whole=False), fields=replace(JOURNEY.fields, aliases=("key",))
    )
    crawl.catalogue = CATALOGUE | {"journey": known_by_key}
    crawl.index = Index({}, status="building")
    configs = crawl.source.configs
    crawl.source = SlowSource(crawl, page_size=20)
    crawl.source.configs = configs
    for number in range(2, 301):
        crawl.source.add(
            JOURNEY, {"id": f"journey-{number:08}", "name": f"Journey {number}", "key": f"key-{number:08}"}
        )
    crawl.request(JOURNEY_KEY)
    return crawl


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


def key_of(number):
    return Identified(ResourceKey("journey", f"journey-{number:08}"), "key")


def test_a_live_listing_hands_back_in_time_and_goes_on_where_it_was(large):
    took = []
    while not took or large.answer["status"] == "more":
        began = large.time
        large.run()
        took.append(large.time - began)

    assert large.answer["status"] == "done"
    # 300 journeys, their pages and those of the other types at a second each, in 90 seconds and what is on its way.
    assert len(took) >= 4
    assert max(took) <= large.time_left - 30 + 16
    assert [large.identifiers[f"key-{number:08}"] for number in range(2, 301)] == [[key_of(n)] for n in range(2, 301)]
    assert large.closure.warnings == []


def test_a_listing_over_several_invocations_reads_no_page_and_no_payload_twice(large):
    large.run_to_the_end()
    # What the crawl itself reads comes on top: an invocation forgets what the earlier ones read.
    crawled = Counter(key.id for key in large.closure.known)

    assert large.source.gets - crawled == Counter({f"journey-{number:08}": 1 for number in range(1, 301)})
    assert large.source.calls["list", "journey"] == 15


def test_what_one_invocation_lists_and_crawls_is_read_once(large):
    large.source.lasts = 0.0
    assert large.run_to_the_end() == ["done"]

    assert set(large.source.gets.values()) == {1}
    assert large.source.calls["get", "journey"] == 300
    assert [large.source.calls["get", name] for name in ("flow", "schema")] == [0, 0]


def test_of_payloads_a_listing_keeps_no_more_than_fits_into_its_bounds():
    kept = KeptPayloads(max_bytes=5)
    kept.keep(JOURNEY_KEY, b"12345")
    kept.keep(SCHEMA_KEY, b"6")

    assert list(kept._packed) == [JOURNEY_KEY]
    assert kept.find(SCHEMA_KEY) is None


def test_one_journey_that_cannot_be_read_is_a_warning_and_known_by_its_id(large):
    broken = ResourceKey("journey", "journey-00000007")
    large.source.broken[broken.id] = DownstreamUnavailableError("It answers 500.")
    statuses = large.run_to_the_end()

    assert statuses[-6:] == ["wait"] * 5 + ["done"]
    assert set(statuses[:-6]) == {"more"}
    assert large.closure.warnings == ["journey: 1 could not be read in the source: It answers 500."]
    assert large.identifiers[broken.id] == [Identified(broken)]
    assert "key-00000007" not in large.identifiers
    assert large.identifiers["key-00000008"]
    assert large.source.gets[broken.id] <= len(statuses)


def test_a_journey_that_cannot_be_read_for_a_lasting_reason_is_asked_for_once(large):
    large.source.lasts = 0.0
    large.source.broken["journey-00000007"] = DownstreamRejectedError("It is locked.")

    assert large.run_to_the_end() == ["done"]
    assert large.closure.warnings == ["journey: 1 could not be read in the source: It is locked."]
    assert large.source.gets["journey-00000007"] == 1


def test_an_api_that_is_down_is_not_asked_for_each_of_its_configs(large):
    large.source.lasts = 0.0
    large.source.broken |= {f"journey-{n:08}": DownstreamUnavailableError("It is down.") for n in range(2, 301)}

    assert large.run_to_the_end() == ["wait"] * 5 + ["done"]
    assert large.closure.warnings == ["journey: 299 could not be read in the source: It is down."]
    assert large.identifiers["journey-00000300"]
    # Six rounds; in each as many as run side by side, and those that were begun meanwhile. The one that can be read
    # begins the count anew, whenever its answer comes.
    assert large.source.gets.total() <= (6 * 2 + 1) * 16


def test_a_list_that_comes_back_is_read_to_its_end(large):
    large.source.lasts = 0.0
    outages = iter([DownstreamUnavailableError("It is down.")] * 3)

    def on_page(number):
        if number == 7:
            large.source.calls["list", "journey"] -= 1
        if number == 7 and (error := next(outages, None)):
            raise error

    large.source.on_page = on_page
    assert large.run_to_the_end() == ["wait"] * 3 + ["done"]
    assert large.closure.warnings == []
    assert large.identifiers["key-00000300"] == [key_of(300)]


@pytest.mark.parametrize(
    ("error", "statuses"),
    [
        (DownstreamUnavailableError("It is down."), ["wait"] * 4 + ["done"]),
        (DownstreamRejectedError("It has no list."), ["done"]),
    ],
)
def test_a_type_that_cannot_be_listed_is_a_warning_and_the_others_are_listed(large, error, statuses):
    large.source.lasts = 0.0
    large.source.fail("list", "flow", error)

    assert large.run_to_the_end() == statuses
    assert large.closure.warnings == [f"flow could not be listed in the source: {error.message}"]
    assert large.identifiers["key-00000300"] == [key_of(300)]


@pytest.mark.parametrize("operation", ["list", "get"])
def test_a_token_that_expires_while_the_source_is_listed_ends_the_job(large, operation):
    large.source.fail(operation, "journey", CredentialsExpiredError("401"))

    assert large.run()["code"] == "CREDENTIALS_EXPIRED"
    assert large.jobs.error.code == "CREDENTIALS_EXPIRED"
    assert "identifiers" not in repr(large.payloads.values.keys())


def test_a_list_that_moves_between_two_invocations_names_each_config_once(large):
    large.source.page_size = 2
    first = {"journey-00000000": {"id": "journey-00000000", "name": "First", "key": "key-first"}}
    assert large.run()["status"] == "more"
    listed = 2 * large.source.calls["list", "journey"]
    # What comes first moves all that follow: the next page begins with what this one ended with.
    large.source.configs["journey"] = first | large.source.configs["journey"]
    del large.source.configs["journey"]["journey-00000290"]

    assert large.run_to_the_end()[-1] == "done"
    assert 0 < listed < 280
    assert [key for key, known in large.identifiers.items() if len(known) != 1] == []
    assert "journey-00000290" not in large.identifiers
    assert large.identifiers["key-00000300"] == [key_of(300)]
    crawled = Counter(key.id for key in large.closure.known)
    assert max((large.source.gets - crawled).values()) == 1


def test_what_was_deleted_since_it_was_listed_is_no_warning(large):
    large.source.lasts = 0.0
    large.source.on_page = lambda number: number == 8 and large.source.configs["journey"].pop("journey-00000150")

    assert large.run_to_the_end() == ["done"]
    assert "journey-00000150" not in large.identifiers
    assert large.closure.warnings == []


@pytest.mark.parametrize(
    "death", [{"dies_before": "/identifiers"}, {"dies_after": "/identifiers"}, {"dies_after": "/state"}]
)
def test_what_could_not_be_listed_is_told_also_where_the_process_dies(large, death):
    large.source.lasts = 0.0
    large.source.fail("list", "flow", DownstreamRejectedError("It has no list."))
    large.payloads = Payloads(**death)
    large.request(JOURNEY_KEY)
    with pytest.raises(ProcessDiedError):
        large.run()

    assert large.run()["status"] == "done"
    assert large.closure.warnings == ["flow could not be listed in the source: It has no list."]


@pytest.mark.parametrize(
    "death", [{"dies_before": "/listing/"}, {"dies_after": "/listing/"}, {"dies_after": "/listing."}]
)
def test_a_listing_whose_process_dies_as_it_hands_back_goes_on_from_what_was_stored(large, death):
    large.run()
    large.payloads.__class__ = Payloads
    vars(large.payloads).update({"dies_before": "", "dies_after": "", **death})
    with pytest.raises(ProcessDiedError):
        large.run()

    assert large.run_to_the_end()[-1] == "done"
    assert [large.identifiers[f"key-{number:08}"] for number in range(2, 301)] == [[key_of(n)] for n in range(2, 301)]


def test_of_two_listings_side_by_side_the_first_that_ends_says_what_is_known(large):
    large.run()

    def run_another(_config_id):
        large.source.on_get = lambda _: None
        assert large.run_to_the_end()[-1] == "done"
        large.first = (dict(large.identifiers), set(large.closure.known))
        # Only the late one sees these.
        for number in range(2, 301):
            large.source.configs["journey"][f"journey-{number:08}"]["key"] = f"late-{number:08}"

    large.source.on_get = run_another
    large.time_left = 1000.0
    answer = large.run()

    assert answer["status"] == "done"
    assert (dict(large.identifiers), set(large.closure.known)) == large.first
    assert large.identifiers["key-00000300"] == [key_of(300)]
    assert [key for key in large.identifiers if key.startswith("late")] == []


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


def test_a_job_that_is_cancelled_reads_no_more_a_second_later(large):
    def cancel(_config_id):
        if large.jobs.job.status is JobStatus.IN_PROGRESS:
            large.jobs.job = replace(large.job, status=JobStatus.CANCELLED)
        time.sleep(1.2 * job_guard.MAX_AGE_S)

    large.source.on_get = cancel
    answer = large.run()

    assert (answer["status"], answer["code"]) == ("failed", "JOB_STOPPED")
    # Those that were on their way.
    assert 0 < large.source.calls["get", "journey"] < 300
    assert large.jobs.error is None


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
