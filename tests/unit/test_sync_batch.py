from dataclasses import replace
from types import SimpleNamespace

from shared.domain.plan import ResolutionKind, SourceConfig
from shared.domain.resource_type import Form, Reference, ResourceKey, Strength
from shared.use_cases.sync_batch import needs_inside_batch
from tests.unit.organisations import CATALOGUE, Organisation, Sync, Target


def waits(**names):
    """Return what each config of a plan waits for; each names another one, softly and by its slug."""
    by_slug = Reference(to=("group",), path="$.ref", form=Form.SLUG, strength=Strength.SOFT)
    group = replace(CATALOGUE["group"], references=(by_slug,))
    keys = {name: ResourceKey("group", name) for name in names}
    sources = {
        key: SourceConfig(key=key, payload={"id": name, "name": name, "ref": names[name]}, selected=True)
        for name, key in keys.items()
    }
    made = Sync(Organisation(()), Target()).plan(
        catalogue=CATALOGUE | {"group": group}, sources=sources, identifiers={}
    )
    tasks = {planned.key: SimpleNamespace(planned=planned) for planned in made.resources}
    assert {one.kind for planned in made.resources for one in planned.resolutions} == {ResolutionKind.KEEP}
    return {name: [needed.id for needed in needs_inside_batch(tasks[key], tasks)] for name, key in keys.items()}


def test_a_config_waits_for_what_it_names_although_the_name_is_known_beforehand():
    assert waits(a="b", b="") == {"a": ["b"], "b": []}


def test_names_that_lead_in_a_circle_make_nobody_wait_for_ever():
    waiting = waits(a="b", b="a")
    assert sorted(waiting.values()) in ([[], ["a"]], [[], ["b"]])
