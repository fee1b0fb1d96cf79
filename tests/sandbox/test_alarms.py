"""The template's alarms are judged as CloudWatch judges them: on when a promise is broken, off when it is kept."""

from __future__ import annotations

import pytest

from sandbox.alarms import Alarms, UnknownAlarmError
from sandbox.dashboards import Sample
from sandbox.logs import filtered
from tests.aws import template

RESOURCES = template()["Resources"]
NOW = 1_000_000.0
HOST = {"host": "journey-config.sls.epilot.io"}


def samples(name, value, ago=10, **dimensions):
    return Sample(NOW - ago, name, dimensions, value)


def lambdas(metric, number, function, ago=10):
    return samples(metric, number, ago, FunctionName=f"{function}Function")


def answers(metric, bad, of, ago=10):
    return [samples(metric, bad, ago), samples("Requests", of, ago)]


def calls(metric, bad, of):
    return [samples(metric, bad, **HOST), samples("DownstreamCalls", of, **HOST)]


@pytest.mark.parametrize(
    ("alarm", "figures", "is_on"),
    [
        ("JourneyConfigFailingAlarm", calls("DownstreamFailed", 5, 20), True),
        ("JourneyConfigFailingAlarm", calls("DownstreamFailed", 4, 20), False),
        ("JourneyConfigFailingAlarm", calls("DownstreamFailed", 1, 1), False),
        ("JourneyConfigFailingAlarm", [], False),
        ("EntityFailingAlarm", calls("DownstreamFailed", 20, 20), False),
        ("JourneyConfigThrottlingAlarm", calls("DownstreamThrottled", 30, 100), True),
        ("StuckSyncJobAlarm", [samples("JobSilence", 900, kind="sync")], True),
        ("StuckSyncJobAlarm", [samples("JobSilence", 899, kind="sync")], False),
        ("StuckSyncJobAlarm", [samples("JobSilence", 900, kind="delete")], False),
        ("StuckSyncJobAlarm", [samples("JobSilence", 900, ago=301, kind="sync")], False),
        ("StuckDeleteJobAlarm", [samples("JobSilence", 900, kind="delete")], True),
        ("IndexAgeAlarm", [samples("IndexAge", 518_400, size="large"), samples("IndexAge", 0, size="small")], True),
        ("IndexAgeAlarm", [samples("IndexAge", 518_399, size="large")], False),
        ("DeadLettersAlarm", [samples("DeadLetters", 1)], True),
        ("DeadLettersAlarm", [samples("DeadLetters", 0)], False),
        ("IndexBuildsFailedAlarm", [samples("IndexBuildsEnded", 1, outcome="failed")], True),
        ("IndexBuildsFailedAlarm", [samples("IndexBuildsEnded", 9, outcome="done")], False),
        ("HealthUnknownAlarm", [], False),
        ("WorkerErrorsAlarm", [lambdas("Errors", 2, "SyncBatch"), lambdas("Errors", 1, "FetchSources")], True),
        ("WorkerErrorsAlarm", [lambdas("Errors", 3, "SyncBatch", ago=901)], False),
        ("WorkerErrorsAlarm", [lambdas("Errors", 2, "SyncBatch"), lambdas("Errors", 1, "FinishJob")], False),
        ("CoordinatorErrorsAlarm", [lambdas("Errors", 3, "FinishJob", ago=800)], True),
        ("BackgroundErrorsAlarm", [], False),
        ("WorkerThrottlesAlarm", [lambdas("Throttles", 20, "SyncBatch")], True),
        ("WorkerThrottlesAlarm", [lambdas("Throttles", 19, "SyncBatch"), lambdas("Errors", 9, "SyncBatch")], False),
        ("BackgroundThrottlesAlarm", [lambdas("Throttles", 20, "ContinueIndex")], True),
    ],
)
def test_an_alarm_is_on_exactly_where_its_figures_break_the_promise(alarm, figures, is_on):
    assert Alarms(RESOURCES, figures).is_on(alarm, NOW) is is_on


@pytest.mark.parametrize(("ago", "is_unknown"), [(800, False), (899, False), (901, True)])
def test_health_is_unknown_where_nobody_has_measured_for_a_quarter_of_an_hour(ago, is_unknown):
    alarms = Alarms(RESOURCES, [samples("RunningJobs", 0, ago=ago, kind="sync")])
    assert alarms.is_unknown("HealthUnknownAlarm", NOW) is is_unknown
    assert not alarms.is_on("HealthUnknownAlarm", NOW)
    assert not alarms.is_unknown("StuckSyncJobAlarm", NOW)


@pytest.mark.parametrize(
    ("objective", "metric", "budget"), [("Availability", "ServerErrors", 0.001), ("Latency", "SlowAnswers", 0.01)]
)
@pytest.mark.parametrize(("speed", "factor", "long", "short"), [("Fast", 14.4, 3600, 300), ("Slowly", 6, 21_600, 1800)])
class TestBudget:
    def is_on(self, objective, speed, *figures):
        return Alarms(RESOURCES, [sample for one in figures for sample in one]).is_on(
            f"{objective}Burns{speed}Alarm", NOW
        )

    def test_burns_where_both_windows_are_over_the_factor(self, objective, metric, budget, speed, factor, long, short):
        bad = 10_000 * budget * factor
        assert self.is_on(objective, speed, answers(metric, bad + 1, 10_000))
        assert not self.is_on(objective, speed, answers(metric, bad - 1, 10_000))

    def test_no_longer_burns_once_the_short_window_is_clean(
        self, objective, metric, budget, speed, factor, long, short
    ):
        over = answers(metric, 500, 1000, ago=short + 60)
        assert self.is_on(objective, speed, over, answers(metric, 10, 10))
        assert not self.is_on(objective, speed, over, answers(metric, 0, 10))
        assert not self.is_on(objective, speed, answers(metric, 500, 1000, ago=long + 60))

    def test_does_not_burn_for_a_few_errors_in_a_quiet_night(
        self, objective, metric, budget, speed, factor, long, short
    ):
        assert not self.is_on(objective, speed, answers(metric, 4, 4))


def test_an_expression_of_another_form_is_refused():
    alarm = {"Properties": {**RESOURCES["IndexAgeAlarm"]["Properties"]}}
    alarm["Properties"]["Metrics"] = [*alarm["Properties"]["Metrics"][:-1], {"Id": "x", "Expression": "FILL(small, 0)"}]
    with pytest.raises(UnknownAlarmError):
        Alarms({"IndexAgeAlarm": alarm}, []).is_on("IndexAgeAlarm", NOW)


LINES = [
    '{"message": "Step waits", "code": "BLOCKED", "job_id": "1"}',
    '{"message": "Step returned", "code": "", "job_id": "2"}',
    '{"message": "Downstream call slow or refused", "host": "h"}',
    "START RequestId: 1",
    '{"_aws": {}, "code": "X"}',
]


@pytest.mark.parametrize(
    ("query", "found"),
    [("FollowJob", []), ("FailuresByCode", [LINES[0]]), ("SlowestDownstreamCalls", [LINES[2]])],
)
def test_a_saved_query_finds_locally_what_it_is_for(query, found):
    text = RESOURCES[f"{query}Query"]["Properties"]["QueryString"]

    assert [entry["message"] for entry in filtered(text, LINES)] == [line.split('"')[3] for line in found]


def test_a_query_without_a_known_filter_is_refused():
    with pytest.raises(ValueError, match="known form"):
        filtered("filter duration_ms > 5", LINES)
