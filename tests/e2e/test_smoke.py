"""The smoke test of deployed stacks, tried on the local one: it holds, and what is wrong makes it fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from sandbox import smoke


def test_everything_holds_on_the_local_stack(stack: object, capsys: pytest.CaptureFixture[str]) -> None:
    place = smoke.local_place()
    outcomes = smoke.try_all(place)

    assert smoke.show(place, outcomes) == 0, capsys.readouterr().out
    assert {one.result for one in outcomes} == {"held"}


def test_a_token_of_another_organisation_fails_it(stack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    place = smoke.local_place()
    monkeypatch.setattr(smoke.Trials, "builds", lambda _: "")
    outcomes = smoke.try_all(replace(place, tokens=(place.tokens[1], place.tokens[0])))

    by_name = {one.name: one for one in outcomes}
    assert by_name["the same again writes nothing"].result == "skipped"
    assert by_name["a dry run plans every row (reads of missing objects answer 404)"].result == "failed"
    assert smoke.show(place, outcomes) > 0


def test_a_role_that_may_too_much_fails_it(stack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    place = smoke.local_place()
    monkeypatch.setattr(smoke, "FORBIDDEN", {"AWS::DynamoDB::Table": ("dynamodb:Query",)})

    with pytest.raises(RuntimeError, match="may dynamodb:Query"):
        smoke.Trials(place).forbids()


def test_a_deployed_stack_is_what_samconfig_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    tokens = [jwt.encode({"custom:ivy_org_id": org}, "a key that signs nothing that counts") for org in ("1", "2")]
    variables = dict(zip(("HUB_SOURCE_TOKEN", "HUB_TARGET_TOKEN"), tokens, strict=True))

    with pytest.raises(SystemExit, match="HUB_SELECTION"):
        smoke.deployed_place("dev", variables)
    place = smoke.deployed_place("dev", {**variables, "HUB_SELECTION": "journey:a role:1:root"})

    assert (place.stack_name, place.org_ids, place.may_write) == ("configuration-hub-dev", ("1", "2"), False)
    assert place.selection == [{"type": "journey", "id": "a"}, {"type": "role", "id": "1:root"}]
    assert place.aws("iam").meta.service_model.service_name == "iam"
    with pytest.raises(SystemExit, match="no section nowhere"):
        smoke.deployed_place("nowhere", variables)
