"""`verdure doctor` against a server that answers as Google's do, and against Google's emulators."""

import json
import threading
from contextlib import contextmanager
from datetime import date
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.cloud import pubsub_v1
from typer.testing import CliRunner

from cli import doctor
from cli.google_emulators import VARIABLES, Pushes, free_port
from cli.main import app
from cli.pipeline import read_pipeline
from emulator import launch
from shared import models
from shared.adapters import pubsub
from shared.adapters.pubsub import PubSubBus
from shared.adapters.records import to_json
from shared.config import read_settings
from shared.domain.archive import ArchivePolicy
from shared.domain.runs import RunConfiguration, register
from shared.errors import InvalidConfiguration, Unavailable
from shared.messages import ImageFound

P, NAME, NUMBER = "my-project", "verdure", "123456789012"
AGENT = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"


def resource(function):
    return f"{NAME}-{function.replace('_', '-')}"


def member(account):
    return f"serviceAccount:{resource(account)}@{P}.iam.gserviceaccount.com"


def policy(role, *members):
    return {"bindings": [{"role": role, "members": list(members)}]}


def document(run_id, body):
    return {"document": {"name": f"x/runs/{run_id}", "fields": {"body": {"stringValue": body}}}}


def healthy(*buckets, drive=None):
    """The answers of a deployment in which all is well, by method and path.

    Of `buckets` each has a run that archives to it, with second copies in the folder `drive`.
    """
    pipeline = read_pipeline()
    root = f"projects/{P}"
    bindings = [
        {"role": role, "members": [member(x.name)]} for x in pipeline.values() for role in x.roles
    ]
    bucket_bindings = [
        {"role": role, "members": [member(x.name)]}
        for x in pipeline.values()
        for role in x.bucket_roles
    ]
    runs = [register(configuration(bucket, drive)) for bucket in buckets]
    place = f"{root}/locations/us-central1"
    answers = {
        f"GET v1/{root}/services": {
            "services": [{"name": f"x/services/{x}"} for x in doctor._wanted_apis()]
        },
        f"GET v1/{root}/config": {"maxConcurrentExports": 8},
        f"GET v1/{root}/assets/": {
            "quota": {
                "assetCount": "10",
                "maxAssets": "10000",
                "sizeBytes": "5",
                "maxSizeBytes": "250000000000",
            }
        },
        f"POST v1/{root}/databases/{NAME}/documents/probes": {
            "name": f"{root}/databases/{NAME}/documents/probes/1"
        },
        f"DELETE v1/{root}/databases/{NAME}/documents/probes/1": {},
        **{
            f"GET v1/{root}/databases/{NAME}/collectionGroups/{x}/indexes": {
                "indexes": [{"state": "READY"}]
            }
            for x in ("exports", "assets")
        },
        f"GET v1/{root}": {"projectNumber": NUMBER},
        f"POST v1/{root}:getIamPolicy": {"bindings": bindings},
        f"GET v2/{root}/locations/-/functions": {
            "functions": [
                {"name": f"{place}/functions/{resource(x)}", "state": "ACTIVE"} for x in pipeline
            ]
        },
        f"GET v1/{place}/jobs": {
            "jobs": [
                {"name": f"{place}/jobs/{resource(x.name)}", "state": "ENABLED"}
                for x in pipeline.values()
                if not x.topic
            ]
        },
        f"POST v1/{root}/databases/{NAME}/documents:runQuery": [
            document(run.run_id, to_json(run)) for run in runs
        ]
        or [{"readTime": "2026-11-22T09:00:00Z"}],
        f"GET v1/{root}/services/drive.googleapis.com": {"state": "ENABLED"},
        f"POST v1/{root}/serviceAccounts/{member('deliver')[15:]}:getIamPolicy": policy(
            "roles/iam.serviceAccountTokenCreator", AGENT
        ),
    }
    for bucket in (f"{P}-{NAME}-archive", *buckets):
        place_of_bucket = {"location": "US-CENTRAL1", "storageClass": "STANDARD"}
        answers[f"GET storage/v1/b/{bucket}"] = place_of_bucket
        answers[f"GET storage/v1/b/{bucket}/iam"] = {"bindings": bucket_bindings}
    for name in models.NAMES:
        asset = f"{models.PUBLISHED}/{models.load(name).asset_name}"
        answers[f"GET v1/{root}/assets/{asset}"] = {}
    for function in pipeline.values():
        caller = member("deliver" if function.topic else "schedule")
        service = f"v2/{place}/services/{resource(function.name)}"
        answers[f"GET {service}:getIamPolicy"] = policy("roles/run.invoker", caller)
        if function.topic:
            queue = f"v1/{root}/subscriptions/{resource(function.name)}"
            dead = f"{NAME}-{function.topic}-dead"
            answers[f"GET {queue}"] = {
                "pushConfig": {"pushEndpoint": "https://x", "oidcToken": {"audience": "https://x"}},
                "deadLetterPolicy": {"maxDeliveryAttempts": 5},
            }
            for where, role in (
                (f"v1/{root}/topics/{dead}", "roles/pubsub.publisher"),
                (queue, "roles/pubsub.subscriber"),
            ):
                answers[f"GET {where}:getIamPolicy"] = policy(role, AGENT)
            topic = f"v1/{root}/topics/{NAME}-{function.topic}"
            senders = [member(x.name) for x in pipeline.values() if function.topic in x.publishes]
            answers[f"GET {topic}:getIamPolicy"] = policy("roles/pubsub.publisher", *senders)
            answers[f"POST v1/{root}/subscriptions/{dead}:pull"] = {}
            answers[f"POST v1/{root}/subscriptions/{dead}:modifyAckDeadline"] = {}
    return answers


def configuration(bucket, drive):
    return RunConfiguration(
        name="archived",
        region={"type": "Point", "coordinates": [14, 45]},
        start=date(2018, 3, 1),
        end=date(2018, 11, 1),
        destination=f"projects/{P}/assets/masks",
        archive=ArchivePolicy(bucket, drive=drive),
    )


@contextmanager
def served(answers, now=None):
    """Serve answers over HTTP; what has none is a 404 in Google's words."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = answers.get(f"{self.command} {self.path[1:].partition('?')[0]}")
            missing = {"error": {"message": f"{self.path} was not found"}}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response_only(404 if found is None else 200)
            self.send_header("Date", now or formatdate(usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def findings(answers, now=None):
    with served(answers, now) as url, doctor.local_session() as session:
        deployment = doctor.Deployment(P, NAME, lambda service: url, session)
        return {x.what: x for x in doctor.examine(deployment)}


def wrong(answers, now=None):
    return {what: x for what, x in findings(answers, now).items() if not x.fine}


def test_a_healthy_deployment_has_nothing_wrong():
    found = findings(healthy())
    assert [x for x in found.values() if not x.fine] == []
    assert "up to 8 exports" in found["Earth Engine"].found
    assert len(found) >= 20


PIPELINE = f"projects/{P}"
SERVICE = f"GET v2/{PIPELINE}/locations/us-central1/services/verdure-watch-exports:getIamPolicy"
ILLNESSES = [
    (f"GET v1/{PIPELINE}/services", {"services": []}, "APIs", "gcloud services enable"),
    (f"GET v1/{PIPELINE}/config", None, "Earth Engine", "earth-engine/configuration"),
    (
        f"GET v1/{PIPELINE}/assets/",
        {"quota": {"assetCount": "9000", "maxAssets": "10000"}},
        "quota of assets",
        "ask for more",
    ),
    (
        f"POST v1/{PIPELINE}/databases/{NAME}/documents/probes",
        None,
        "ledger",
        "roles/datastore.user",
    ),
    (
        f"GET v1/{PIPELINE}/databases/{NAME}/collectionGroups/assets/indexes",
        {"indexes": [{"state": "CREATING"}]},
        "index of assets",
        "wait",
    ),
    (
        f"GET v1/{PIPELINE}/subscriptions/verdure-mask-image",
        {"pushConfig": {"pushEndpoint": "https://x", "oidcToken": {}}},
        "queue of mask_image",
        "terraform apply",
    ),
    (
        f"GET v1/{PIPELINE}/topics/verdure-image-found-dead:getIamPolicy",
        {},
        "dead-letter grants of image-found",
        "terraform apply",
    ),
    (
        f"POST v1/{PIPELINE}/subscriptions/verdure-image-found-dead:pull",
        {"receivedMessages": [{"ackId": "1"}]},
        "dead letters of image-found",
        "verdure redrive",
    ),
    (f"POST v1/{PIPELINE}:getIamPolicy", {}, "roles of mask_image", "terraform apply"),
    (f"GET v2/{PIPELINE}/locations/-/functions", {}, "function mask_image", "terraform apply"),
    (
        f"GET storage/v1/b/{P}-{NAME}-archive",
        {"location": "EU", "storageClass": "STANDARD"},
        f"bucket {P}-{NAME}-archive",
        "archive_location",
    ),
    (
        f"GET storage/v1/b/{P}-{NAME}-archive",
        {"location": "US", "storageClass": "NEARLINE"},
        f"bucket {P}-{NAME}-archive",
        "archive_location",
    ),
    (
        f"GET storage/v1/b/{P}-{NAME}-archive/iam",
        {},
        f"grants of bucket {P}-{NAME}-archive",
        "terraform apply",
    ),
    (
        f"GET v1/{PIPELINE}/topics/verdure-image-found:getIamPolicy",
        policy("roles/pubsub.publisher", member("find_images")),
        "publishers of image-found",
        "terraform apply",
    ),
    (
        f"POST v1/{PIPELINE}/serviceAccounts/{member('deliver')[15:]}:getIamPolicy",
        {},
        "signature of pushes",
        "terraform apply",
    ),
    (SERVICE, {}, "callers of watch_exports", "terraform apply"),
    (
        SERVICE,
        policy("roles/run.invoker", member("schedule"), "allUsers"),
        "callers of watch_exports",
        "remove-iam-policy-binding",
    ),
]


@pytest.mark.parametrize(("path", "answer", "what", "mend"), ILLNESSES, ids=lambda x: str(x)[:40])
def test_each_illness_is_found_with_what_mends_it(path, answer, what, mend):
    answers = healthy()
    assert path in answers
    answers[path] = answer
    found = wrong(answers)
    assert what in found
    assert mend in found[what].mend


def test_a_bucket_that_a_run_names_is_looked_at_too():
    answers = healthy("my-own")
    assert wrong(answers) == {}
    answers["GET storage/v1/b/my-own/iam"] = {}
    [finding] = wrong(answers).values()
    assert finding.what == "grants of bucket my-own"
    assert "verdure-restore-asset@" in finding.found
    assert "gcloud storage buckets add-iam-policy-binding gs://my-own" in finding.mend


def test_a_run_that_cannot_be_read_is_found():
    answers = healthy()
    answers[f"POST v1/{PIPELINE}/databases/{NAME}/documents:runQuery"] = [document("x-1", "{bad")]
    [finding] = wrong(answers).values()
    assert finding.what == "run x-1"
    assert "malformed" in finding.found
    assert "runs/x-1 to FAILED" in finding.mend


def test_drive_is_looked_at_where_a_run_asks_for_it():
    assert "Drive" not in findings(healthy("my-own"))
    answers = healthy("my-own", drive="0AbC")
    found = findings(answers)
    assert all(x.fine for x in found.values())
    assert "content manager" in found["Drive of archive_assets"].found
    answers[f"GET v1/{PIPELINE}/services/drive.googleapis.com"] = {"state": "DISABLED"}
    [finding] = wrong(answers).values()
    assert finding.found == "wanted by archived; its API is disabled"


def test_a_persons_drive_needs_a_secret_that_the_functions_may_read():
    answers = healthy("my-own", drive="0AbC")
    functions = answers[f"GET v2/{PIPELINE}/locations/-/functions"]["functions"]
    [function] = [x for x in functions if x["name"].endswith("archive-assets")]
    function["serviceConfig"] = {"secretVolumes": [{"secret": "verdure-drive"}]}
    secret = f"GET v1/{PIPELINE}/secrets/verdure-drive"
    reader = policy("roles/secretmanager.secretAccessor", member("archive_assets"))
    answers[f"{secret}:getIamPolicy"] = reader
    [finding] = wrong(answers).values()
    assert finding.found == "secret verdure-drive has no enabled version"
    assert finding.mend.startswith("gcloud secrets versions add verdure-drive")
    answers[f"{secret}/versions/latest"] = {"state": "ENABLED"}
    assert wrong(answers) == {}
    answers[f"{secret}:getIamPolicy"] = {}
    [finding] = wrong(answers).values()
    assert "lacks roles/secretmanager.secretAccessor" in finding.found


def test_a_role_too_many_is_found():
    answers = healthy()
    bindings = answers[f"POST v1/{PIPELINE}:getIamPolicy"]["bindings"]
    bindings.append({"role": "roles/editor", "members": [member("mask_image")]})
    [finding] = wrong(answers).values()
    assert finding.found == "has roles/editor, which no call needs"
    assert "remove-iam-policy-binding" in finding.mend


def test_a_paused_schedule_is_found():
    answers = healthy()
    jobs = answers[f"GET v1/{PIPELINE}/locations/us-central1/jobs"]["jobs"]
    jobs[0]["state"] = "PAUSED"
    [finding] = wrong(answers).values()
    assert finding.mend.startswith("gcloud scheduler jobs resume verdure-")


def test_a_clock_that_is_wrong_is_found():
    assert set(wrong(healthy(), formatdate(0, usegmt=True))) == {"clock"}


def test_nobody_there_is_an_error_with_the_address():
    address = f"http://127.0.0.1:{free_port()}"
    with doctor.local_session() as session:
        deployment = doctor.Deployment(P, "", {"earthengine": address}.get, session)
        with pytest.raises(Unavailable, match=address):
            list(doctor.examine(deployment))


def test_no_emulator_is_an_error_that_says_which(monkeypatch):
    for variable in (*VARIABLES.values(), "EARTH_ENGINE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VERDURE_PROJECT", P)
    settings = read_settings(stack="emulators")
    with pytest.raises(InvalidConfiguration, match="EARTH_ENGINE_URL"), doctor.opened(settings):
        pass


def test_on_googles_emulators(firestore_and_pubsub, tmp_path, monkeypatch):
    functions = tuple(x for x in read_pipeline().values() if x.topic)
    project = "doctor-project"
    pushes = Pushes(project, functions)
    for function in functions[:-1]:
        pushes.subscribe(function, "http://127.0.0.1:9/")
    publisher = pubsub_v1.PublisherClient()
    publisher.publish(f"projects/{project}/topics/image-found-dead", b"given up").result()
    with launch.running(tmp_path, []) as url:
        monkeypatch.setenv("VERDURE_PROJECT", project)
        monkeypatch.setenv("EARTH_ENGINE_URL", url)
        with doctor.opened(read_settings(stack="emulators")) as deployment:
            found = {x.what: x for x in doctor.examine(deployment)}
    bad = {x for x in found if not found[x].fine}
    assert {"ledger", "queue of mask_image", "dead letters of export-finished"} <= {*found} - bad
    assert "dead letters of image-found" in bad
    missing = found[f"queue of {functions[-1].name}"]
    assert "does not exist" in missing.found
    assert "terraform" not in missing.mend, "no local stack is Terraform's"
    monkeypatch.setattr(pubsub, "PATIENCE", 1.0)
    assert PubSubBus(project).redrive(ImageFound.topic) == 1, "seen, not taken"
    told = CliRunner().invoke(app, ["redrive", "--stack", "emulators"], catch_exceptions=False)
    assert (told.exit_code, "Subscription does not exist" in told.output) == (1, True)
