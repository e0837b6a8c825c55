"""What must hold of every deployment, held against Terraform's own plan."""

import re
from dataclasses import fields

import pytest

import main
from shared.config import read_settings
from shared.domain.archive import Asset
from shared.domain.exports import Export
from shared.errors import InvalidConfiguration
from shared.messages import TOPICS

from .conftest import NAME, PROJECT, ROOT

ACCOUNT = "serviceAccount:{}@" + PROJECT + ".iam.gserviceaccount.com"
#: Set for the platform, not for us: a log line gets the id of its execution.
OF_THE_PLATFORM = {"LOG_EXECUTION_ID"}


def account(function):
    return ACCOUNT.format(f"{NAME}-{function.replace('_', '-')}")


@pytest.fixture
def grants(plan):
    """Every (member, role, on what) of the plan."""
    return [
        (values["member"], values["role"], address.split(".")[0])
        for address, values in plan.items()
        if "_iam_member." in address or "_iam_member[" in address
    ]


def test_every_push_has_dead_letters_patience_a_signature_and_no_end(of_kind, pipeline):
    queues = of_kind("google_pubsub_subscription.queue")
    assert set(queues) == {x["topic"] for x in pipeline.values() if "topic" in x}
    dead = {x["topic"] for x in of_kind("google_pubsub_subscription.dead").values()}
    for topic, queue in queues.items():
        [push] = queue["push_config"]
        assert push["oidc_token"][0]["service_account_email"] == account("deliver")[15:]
        [policy] = queue["dead_letter_policy"]
        assert policy["dead_letter_topic"] == f"projects/{PROJECT}/topics/{NAME}-{topic}-dead"
        assert 5 <= policy["max_delivery_attempts"] <= 100
        assert f"{NAME}-{topic}-dead" in dead, "a dead letter without a subscription is lost"
        assert queue["retry_policy"][0]["minimum_backoff"]
        assert queue["ack_deadline_seconds"] == 600
        assert queue["expiration_policy"] == [{"ttl": ""}]
    for kept in of_kind("google_pubsub_subscription.dead").values():
        assert kept["expiration_policy"] == [{"ttl": ""}]


def test_pubsub_may_do_what_dead_letters_need(plan, of_kind):
    topics = set(of_kind("google_pubsub_subscription.queue"))
    assert set(of_kind("google_pubsub_topic_iam_member.bury")) == topics
    assert set(of_kind("google_pubsub_subscription_iam_member.bury")) == topics
    sign = plan["google_service_account_iam_member.sign"]
    assert sign["role"] == "roles/iam.serviceAccountTokenCreator"


def test_each_function_has_the_roles_of_the_yaml_and_no_other(grants, pipeline):
    for name, function in pipeline.items():
        held = [(role, on) for member, role, on in grants if member == account(name)]
        expected = [(role, "google_project_iam_member") for role in function["roles"]]
        expected += [
            ("roles/pubsub.publisher", "google_pubsub_topic_iam_member")
            for _ in function.get("publishes", ())
        ]
        expected += [
            (role, "google_storage_bucket_iam_member") for role in function.get("bucket_roles", ())
        ]
        assert sorted(held) == sorted(expected)


def test_a_function_publishes_to_the_topics_of_the_yaml_only(of_kind, pipeline):
    held = {
        (x["member"], x["topic"])
        for x in of_kind("google_pubsub_topic_iam_member.publish").values()
    }
    assert held == {
        (account(name), f"{NAME}-{topic}")
        for name, function in pipeline.items()
        for topic in function.get("publishes", ())
    }


def test_nobody_is_owner_editor_or_admin_and_nothing_is_public(grants, plan):
    for member, role, on in grants:
        assert not re.search(r"roles/(owner|editor|viewer)$|admin", role, re.IGNORECASE), (
            member,
            on,
        )
        assert member not in ("allUsers", "allAuthenticatedUsers")
        assert member.startswith("serviceAccount:")
    assert not [x for x in plan if "service_account_key" in x], "nothing has a key"
    assert not [x for x in plan if re.search(r"_iam_(policy|binding)\.", x)], (
        "a policy or binding would take away what others granted"
    )


def test_only_the_schedule_or_the_queue_may_call_a_function(of_kind, pipeline):
    for name, invoker in of_kind("google_cloud_run_v2_service_iam_member.invoke").items():
        caller = "deliver" if "topic" in pipeline[name] else "schedule"
        assert (invoker["member"], invoker["role"]) == (account(caller), "roles/run.invoker")


def test_the_ledger_is_the_only_database_that_a_function_may_use(of_kind):
    for key, grant in of_kind("google_project_iam_member.function").items():
        if "/roles/datastore." in key:
            assert f"databases/{NAME}" in grant["condition"][0]["expression"]


def test_what_main_has_is_what_is_deployed(of_kind):
    functions = of_kind("google_cloudfunctions2_function.function")
    assert set(functions) == set(main.__all__)
    for name, function in functions.items():
        assert function["build_config"][0]["entry_point"] == name
        service = function["service_config"][0]
        assert service["ingress_settings"] == "ALLOW_INTERNAL_ONLY"
        assert service["max_instance_request_concurrency"] == 1
        assert service["timeout_seconds"] <= 540 < 600, "shorter than the ack deadline"
        assert service["service_account_email"] == account(name)[15:]


def test_the_environment_is_what_the_settings_need_and_no_more(of_kind):
    for function in of_kind("google_cloudfunctions2_function.function").values():
        environment = function["service_config"][0]["environment_variables"]
        ours = {k: v for k, v in environment.items() if k not in OF_THE_PLATFORM}
        settings = read_settings(ours)
        assert (settings.stack, settings.project, settings.deployment) == ("cloud", PROJECT, NAME)
        with pytest.raises(InvalidConfiguration):
            read_settings({k: v for k, v in ours.items() if k != "VERDURE_PROJECT"})
        known = set(re.findall(r"VERDURE_[A-Z_]+", (ROOT / "shared/config.py").read_text()))
        assert set(ours) <= known


def test_every_topic_of_the_messages_exists_and_no_other(of_kind):
    assert set(of_kind("google_pubsub_topic.topic")) == set(TOPICS)
    names = {x["name"] for x in of_kind("google_pubsub_topic.topic").values()}
    assert names == {f"{NAME}-{topic}" for topic in TOPICS}


def test_the_topics_are_those_that_the_code_publishes_to(of_kind):
    from shared.adapters.pubsub import PubSubBus

    bus = PubSubBus(PROJECT, NAME)
    for topic, planned in of_kind("google_pubsub_topic.topic").items():
        assert bus._path(topic) == f"projects/{PROJECT}/topics/{planned['name']}"


def test_every_alert_names_a_section_of_the_runbook(of_kind):
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", x.lower()).replace(" ", "-") for x in headings}
    alerts = of_kind("google_monitoring_alert_policy")
    assert len(alerts) >= 7
    for key, alert in alerts.items():
        text = alert["documentation"][0]["content"]
        path, _, anchor = text.removeprefix("Runbook: ").partition("#")
        assert path == "docs/operations.md", key
        assert anchor in anchors, f"{key}: no section {anchor}"


def test_metrics_read_fields_that_the_functions_log(of_kind):
    code = "".join(x.read_text() for x in (ROOT / "functions").glob("*.py"))
    for key, metric in of_kind("google_logging_metric").items():
        for field in re.findall(r"jsonPayload\.(\w+)", metric["filter"]):
            assert f"{field}=" in code, f"metric {key}: nothing logs {field}"


def test_data_outlives_the_deployment(plan):
    archive, ledger = (
        plan["google_storage_bucket.archive"],
        plan["google_firestore_database.ledger"],
    )
    assert not archive["force_destroy"]
    assert archive["versioning"][0]["enabled"]
    assert ledger["deletion_policy"] == "ABANDON"
    assert ledger["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"


def test_no_rule_touches_an_archived_generation(plan):
    archive = plan["google_storage_bucket.archive"]
    actions = [rule["action"][0]["type"] for rule in archive["lifecycle_rule"]]
    assert actions == ["AbortIncompleteMultipartUpload"]
    assert archive["storage_class"] == "STANDARD"
    assert archive["location"] in ("US", "US-CENTRAL1", "NAM4")


def test_the_indexes_that_the_ledger_asks_for(of_kind):
    found = {
        key: [x["field_path"] for x in index["fields"]]
        for key, index in of_kind("google_firestore_index.ordered").items()
    }
    assert found == {
        "exports": ["run", "state", "queued_at", "export_id"],
        "assets": ["run", "state", "changed_at", "record_id"],
    }


def test_what_is_not_indexed_is_never_asked_for_alone(of_kind):
    """Nor is a field that a filter or an order of the adapters names without an index."""
    records = {"exports": Export, "assets": Asset}
    indexes = of_kind("google_firestore_index.ordered")
    for key in of_kind("google_firestore_field.unindexed"):
        collection, field = key.split("/")
        if collection in records:
            assert field in {x.name for x in fields(records[collection])}, key
    for collection, module in {"exports": "firestore", "assets": "firestore_assets"}.items():
        code = (ROOT / f"shared/adapters/{module}.py").read_text()
        ordered = [x["field_path"] for x in indexes[collection]["fields"]]
        assert re.findall(r'order_by\("(\w+)"\)', code) == ordered[2:]
