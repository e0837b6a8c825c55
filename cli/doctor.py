"""`verdure doctor`: what is wrong with a deployment, and the command that mends it.

Looks through the REST interfaces of Google's services, which the emulators of Firestore, Pub/Sub
and Earth Engine speak too; what has no emulator is left out there. Nothing is changed but a
document that is written to the ledger and removed again.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import google.auth
import msgspec
import requests
from google.auth.transport.requests import AuthorizedSession

from cli.google_emulators import VARIABLES
from cli.pipeline import ROOT, Function, read_pipeline
from shared import models
from shared.adapters import credentials
from shared.adapters.records import run_from_json
from shared.config import Settings
from shared.domain.archive import ArchivePolicy
from shared.domain.runs import Run
from shared.errors import InvalidConfiguration, Unavailable

#: Seconds that this machine's clock may be off: tokens are refused from a few minutes on.
CLOCK_TOLERANCE = 60.0
#: Seconds to wait for an answer.
TIMEOUT = 30.0
#: Share of a quota from which it is called nearly full, as in infra/variables.tf.
QUOTA_SHARE = 0.8
#: Locations of buckets that Earth Engine reads COG-backed assets from (infra/variables.tf).
COG_LOCATIONS = ("US", "US-CENTRAL1", "NAM4")

#: Who everybody is, in policies.
PUBLIC = ("allUsers", "allAuthenticatedUsers")

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]

APPLY = "cd infra && terraform apply"
#: What makes on a local stack what Terraform makes in the cloud.
LOCAL = "verdure run RUN.yaml --scenes FOLDER --stack emulators, which makes it when it starts"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: fine, or not, and then how it is mended."""

    what: str
    fine: bool
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Deployment:
    """What is examined. `address` gives a service's URL, or None where it has no emulator."""

    project: str
    name: str  # Terraform's `name`; empty on the emulators
    address: Callable[[str], str | None]
    session: requests.Session

    def has(self, service: str) -> bool:
        """Tell whether there is such a service here."""
        return self.address(service) is not None

    def get(self, service: str, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of a resource."""
        return self._ask("GET", service, path, None)

    def post(self, service: str, path: str, body: Any) -> tuple[int, Any]:
        """Post a body; return the status and the content of the answer."""
        return self._ask("POST", service, path, body)

    def delete(self, service: str, path: str) -> None:
        """Delete a resource."""
        self._ask("DELETE", service, path, None)

    def _ask(self, verb: str, service: str, path: str, body: Any) -> tuple[int, Any]:
        url = f"{self.address(service)}/{path}"
        try:
            answer = self.session.request(verb, url, json=body, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise Unavailable(f"{service} does not answer at {url}: {error}") from error
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status_code, answer.json() if is_json else {}

    def prefixed(self, name: str) -> str:
        """Return the name that Terraform gives a topic."""
        return f"{self.name}-{name}" if self.name else name

    def resource(self, function: str) -> str:
        """Return the name that Terraform gives what belongs to a function."""
        return f"{self.name}-{function.replace('_', '-')}" if self.name else function

    def member(self, account: str) -> str:
        """Return a service account of Terraform's, as policies name it."""
        return f"serviceAccount:{self.resource(account)}@{self.project}.iam.gserviceaccount.com"

    @property
    def database(self) -> str:
        """Path of the ledger's database."""
        return f"v1/projects/{self.project}/databases/{self.name or '(default)'}"

    @property
    def apply(self) -> str:
        """What makes the things that a deployment is of."""
        return APPLY if self.name else LOCAL

    @cached_property
    def pipeline(self) -> dict[str, Function]:
        """The functions of infra/pipeline.yaml."""
        return read_pipeline()

    @cached_property
    def runs(self) -> dict[str, Run | str]:
        """The active runs by id, and in place of one that cannot be read why not."""
        state = {"fieldPath": "state"}
        active = {"field": state, "op": "EQUAL", "value": {"stringValue": "ACTIVE"}}
        query = {"from": [{"collectionId": "runs"}], "where": {"fieldFilter": active}}
        path = f"{self.database}/documents:runQuery"
        status, found = self.post("firestore", path, {"structuredQuery": query})
        documents = [x["document"] for x in found if "document" in x] if status == 200 else []
        return {x["name"].rsplit("/", 1)[-1]: _run_of(x) for x in documents}

    @cached_property
    def archives(self) -> list[tuple[str, ArchivePolicy]]:
        """The active runs that have an archive, by name."""
        runs = [x for x in self.runs.values() if isinstance(x, Run)]
        return [(x.name, x.configuration.archive) for x in runs if x.configuration.archive]

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """The functions that are deployed, by the name that Terraform gives them."""
        path = f"v2/projects/{self.project}/locations/-/functions?pageSize=500"
        found = self.get("cloudfunctions", path)[1].get("functions", ())
        return {x["name"].rsplit("/", 1)[-1]: x for x in found}

    @cached_property
    def pubsub_agent(self) -> str:
        """The account that Pub/Sub itself acts as."""
        found = self.get("cloudresourcemanager", f"v1/projects/{self.project}")[1]
        number = found.get("projectNumber")
        return f"serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"


@contextmanager
def opened(settings: Settings) -> Iterator[Deployment]:
    """Yield the deployment that settings name, asked with the credentials at hand."""
    if settings.stack == "cloud":
        with credentials.needed():
            found, _ = google.auth.default(scopes=SCOPES, quota_project_id=settings.project)
        with AuthorizedSession(found) as session:
            yield Deployment(
                settings.project,
                settings.deployment,
                lambda service: f"https://{service}.googleapis.com",
                session,
            )
        return
    addresses = {
        name: f"http://{os.environ[variable]}"
        for name, variable in VARIABLES.items()
        if variable in os.environ
    }
    if settings.earth_engine_url:
        addresses["earthengine"] = settings.earth_engine_url
    if not addresses:
        raise InvalidConfiguration(
            [
                "no emulator is named: set EARTH_ENGINE_URL, FIRESTORE_EMULATOR_HOST or "
                "PUBSUB_EMULATOR_HOST, or use --stack cloud"
            ]
        )
    with local_session() as session:
        yield Deployment(settings.project, "", addresses.get, session)


def local_session() -> requests.Session:
    """Return a session to servers on this machine."""
    session = requests.Session()
    session.trust_env = False  # no proxy
    session.headers["Authorization"] = (
        "Bearer owner"  # what Firestore's emulator takes for all rights
    )
    return session


def examine(deployment: Deployment) -> Iterator[Finding]:
    """Look at everything that there is here, what all else depends on first."""
    checks: tuple[tuple[str, Callable[[Deployment], Iterator[Finding]]], ...] = (
        ("serviceusage", _clock),
        ("serviceusage", _apis),
        ("earthengine", _earth_engine),
        ("earthengine", _models),
        ("firestore", _ledger),
        ("pubsub", _queues),
        ("cloudresourcemanager", _roles),
        ("cloudfunctions", _functions),
        ("storage", _buckets),
        ("cloudfunctions", _drive),
    )
    for service, check in checks:
        if deployment.has(service):
            yield from check(deployment)


def _clock(deployment: Deployment) -> Iterator[Finding]:
    url = f"{deployment.address('serviceusage')}/"
    answered = deployment.session.head(url, timeout=TIMEOUT).headers["Date"]
    seconds = abs(time.time() - parsedate_to_datetime(answered).timestamp())
    yield Finding(
        "clock",
        seconds <= CLOCK_TOLERANCE,
        f"{seconds:.0f} s from Google's",
        "sudo timedatectl set-ntp true",
    )


def _apis(deployment: Deployment) -> Iterator[Finding]:
    path = f"v1/projects/{deployment.project}/services?filter=state:ENABLED&pageSize=200"
    status, answer = deployment.get("serviceusage", path)
    enabled = {x["name"].rsplit("/", 1)[-1] for x in answer.get("services", ())}
    missing = sorted(_wanted_apis() - enabled)
    lacking = f"not enabled: {', '.join(missing)}" if missing else "all enabled"
    yield Finding(
        "APIs",
        status == 200 and not missing,
        lacking if status == 200 else _refusal(answer),
        f"gcloud services enable {' '.join(missing)} --project={deployment.project}",
    )


def _wanted_apis() -> set[str]:
    """Return the APIs that Terraform enables, by its own list."""
    text = (ROOT / "infra" / "main.tf").read_text()
    listed = text.partition("apis = toset([")[2].partition("])")[0]
    return {line.strip().strip('",') for line in listed.splitlines() if line.strip()}


def _earth_engine(deployment: Deployment) -> Iterator[Finding]:
    project = deployment.project
    status, config = deployment.get("earthengine", f"v1/projects/{project}/config")
    yield Finding(
        "Earth Engine",
        status == 200,
        f"registered; up to {config.get('maxConcurrentExports', 'an unknown number of')} exports "
        "at once"
        if status == 200
        else _refusal(config),
        "register the project: https://console.cloud.google.com/earth-engine/configuration"
        f"?project={project}",
    )
    status, root = deployment.get("earthengine", f"v1/projects/{project}/assets/")
    quota = root.get("quota", {})
    for kind, used, limit in (
        ("assets", "assetCount", "maxAssets"),
        ("bytes", "sizeBytes", "maxSizeBytes"),
    ):
        most = int(quota.get(limit, 0))
        share = int(quota.get(used, 0)) / most if most else 0.0
        yield Finding(
            f"quota of {kind}",
            status == 200 and share < QUOTA_SHARE,
            f"{share:.0%} of {most:,} used" if status == 200 else _refusal(root),
            "archive or delete assets, or ask for more: "
            "https://developers.google.com/earth-engine/guides/usage",
        )


def _models(deployment: Deployment) -> Iterator[Finding]:
    for name in models.NAMES:
        asset = f"{models.PUBLISHED}/{models.load(name).asset_name}"
        status, _ = deployment.get(
            "earthengine", f"v1/projects/{deployment.project}/assets/{asset}"
        )
        yield Finding(
            f"model {name}",
            status == 200,
            "published" if status == 200 else f"there is no {asset}",
            f"verdure model publish --project {deployment.project}" if deployment.name else LOCAL,
        )


def _ledger(deployment: Deployment) -> Iterator[Finding]:
    document = {
        "fields": {
            "expires_at": {"timestampValue": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
        }
    }
    status, answer = deployment.post(
        "firestore", f"{deployment.database}/documents/probes", document
    )
    if status == 200:
        deployment.delete("firestore", f"v1/{answer['name']}")
    yield Finding(
        "ledger",
        status == 200,
        "can be written" if status == 200 else _refusal(answer),
        f"{APPLY}; and for you: gcloud projects add-iam-policy-binding {deployment.project} "
        "--member=user:YOU --role=roles/datastore.user"
        if deployment.name
        else LOCAL,
    )
    for run_id, run in deployment.runs.items():
        if isinstance(run, str):
            yield Finding(
                f"run {run_id}",
                False,
                f"cannot be read: {run}",
                f"set `state` of the ledger's document runs/{run_id} to FAILED, then verdure run "
                "its configuration again",
            )
    if deployment.name:
        for collection in ("exports", "assets"):
            path = f"{deployment.database}/collectionGroups/{collection}/indexes"
            states = [x["state"] for x in deployment.get("firestore", path)[1].get("indexes", ())]
            yield Finding(
                f"index of {collection}",
                "READY" in states and set(states) == {"READY"},
                ", ".join(states) or "there is none",
                f"{APPLY}, and wait for the index to be built",
            )


def _run_of(document: dict[str, Any]) -> Run | str:
    try:
        return run_from_json(document["fields"]["body"]["stringValue"])
    except msgspec.DecodeError as error:
        return str(error)


def _queues(deployment: Deployment) -> Iterator[Finding]:
    root = f"v1/projects/{deployment.project}"
    for function in deployment.pipeline.values():
        if function.topic is None:
            continue
        name = deployment.resource(function.name)
        status, queue = deployment.get("pubsub", f"{root}/subscriptions/{name}")
        lacking = [
            words
            for words, there in (
                ("push", queue.get("pushConfig", {}).get("pushEndpoint")),
                ("dead letters", queue.get("deadLetterPolicy")),
                (
                    "a signature",
                    queue.get("pushConfig", {}).get("oidcToken") or not deployment.name,
                ),
            )
            if not there
        ]
        yield Finding(
            f"queue of {function.name}",
            not lacking,
            _refusal(queue)
            if status != 200
            else f"lacks {', '.join(lacking)}"
            if lacking
            else "pushes, with dead letters",
            deployment.apply,
        )
        if deployment.name:
            yield _grants(deployment, function.topic, name)
            yield _publishers(deployment, function.topic)
        yield _dead_letters(deployment, function.topic)
    if deployment.name:
        yield _signature(deployment)


def _grants(deployment: Deployment, topic: str, subscription: str) -> Finding:
    """Look for what Pub/Sub's agent needs to move a message to the dead letters."""
    root = f"v1/projects/{deployment.project}"
    wanted = (
        (f"topics/{deployment.prefixed(topic)}-dead", "roles/pubsub.publisher"),
        (f"subscriptions/{subscription}", "roles/pubsub.subscriber"),
    )
    lacking = [
        words
        for resource, role in wanted
        for words in _lacking(
            deployment.get("pubsub", f"{root}/{resource}:getIamPolicy"),
            resource,
            [(deployment.pubsub_agent, role)],
        )
    ]
    return Finding(
        f"dead-letter grants of {topic}",
        not lacking,
        f"{'; '.join(lacking)}: messages would be dropped"
        if lacking
        else "Pub/Sub's agent may bury messages",
        APPLY,
    )


def _publishers(deployment: Deployment, topic: str) -> Finding:
    """Look whether each function may publish what it has to."""
    resource = f"topics/{deployment.prefixed(topic)}"
    publishers = [x.name for x in deployment.pipeline.values() if topic in x.publishes]
    lacking = _lacking(
        deployment.get("pubsub", f"v1/projects/{deployment.project}/{resource}:getIamPolicy"),
        resource,
        [(deployment.member(x), "roles/pubsub.publisher") for x in publishers],
    )
    return Finding(
        f"publishers of {topic}", not lacking, "; ".join(lacking) or ", ".join(publishers), APPLY
    )


def _signature(deployment: Deployment) -> Finding:
    """Look whether Pub/Sub may sign what it pushes."""
    deliver = deployment.member("deliver").removeprefix("serviceAccount:")
    path = f"v1/projects/{deployment.project}/serviceAccounts/{deliver}:getIamPolicy"
    wanted = [(deployment.pubsub_agent, "roles/iam.serviceAccountTokenCreator")]
    lacking = _lacking(deployment.post("iam", path, {}), deliver, wanted)
    return Finding(
        "signature of pushes",
        not lacking,
        "; ".join(lacking) or f"Pub/Sub's agent signs as {deliver}",
        APPLY,
    )


def _dead_letters(deployment: Deployment, topic: str) -> Finding:
    name = f"v1/projects/{deployment.project}/subscriptions/{deployment.prefixed(topic)}-dead"
    status, answer = deployment.post(
        "pubsub", f"{name}:pull", {"maxMessages": 100, "returnImmediately": True}
    )
    letters = answer.get("receivedMessages", [])
    if letters:  # seen, not taken
        ids = [x["ackId"] for x in letters]
        body = {"ackIds": ids, "ackDeadlineSeconds": 0}
        deployment.post("pubsub", f"{name}:modifyAckDeadline", body)
    return Finding(
        f"dead letters of {topic}",
        status == 200 and not letters,
        (f"{len(letters)} or more wait" if letters else "none")
        if status == 200
        else _refusal(answer),
        "mend what the functions' log says, then: verdure redrive"
        if status == 200
        else deployment.apply,
    )


def _roles(deployment: Deployment) -> Iterator[Finding]:
    status, policy = deployment.post(
        "cloudresourcemanager", f"v1/projects/{deployment.project}:getIamPolicy", {}
    )
    for function in deployment.pipeline.values():
        member = deployment.member(function.name)
        held = {x["role"] for x in policy.get("bindings", ()) if member in x["members"]}
        missing, extra = set(function.roles) - held, held - set(function.roles)
        words = [f"lacks {role}" for role in sorted(missing)]
        words += [f"has {role}, which no call needs" for role in sorted(extra)]
        yield Finding(
            f"roles of {function.name}",
            status == 200 and not words,
            ("; ".join(words) or "as in pipeline.yaml") if status == 200 else _refusal(policy),
            APPLY
            if missing or not extra
            else f"gcloud projects remove-iam-policy-binding {deployment.project} "
            f"--member={member} --role={min(extra)} --all",
        )


def _functions(deployment: Deployment) -> Iterator[Finding]:
    regions = {name: x["name"].split("/")[3] for name, x in deployment.functions.items()}
    jobs = {
        job["name"].rsplit("/", 1)[-1]: job["state"]
        for region in sorted(set(regions.values()))
        for job in deployment.get(
            "cloudscheduler", f"v1/projects/{deployment.project}/locations/{region}/jobs"
        )[1].get("jobs", ())
    }
    for function in deployment.pipeline.values():
        name = deployment.resource(function.name)
        state = deployment.functions.get(name, {}).get("state", "not deployed")
        yield Finding(f"function {function.name}", state == "ACTIVE", state.lower(), APPLY)
        if name in regions:
            yield _callers(deployment, function, regions[name])
        if function.topic is None:
            state = jobs.get(name, "not there")
            yield Finding(
                f"schedule of {function.name}",
                state == "ENABLED",
                state.lower(),
                f"gcloud scheduler jobs resume {name}" if state == "PAUSED" else APPLY,
            )


def _callers(deployment: Deployment, function: Function, region: str) -> Finding:
    """Look whether who has to may call a function, and not everybody."""
    service = f"locations/{region}/services/{deployment.resource(function.name)}"
    answered = deployment.get("run", f"v2/projects/{deployment.project}/{service}:getIamPolicy")
    caller, role = "deliver" if function.topic else "schedule", "roles/run.invoker"
    words = _lacking(answered, service, [(deployment.member(caller), role)])
    words += [f"{x} may call it" for x in PUBLIC if x in _members(answered[1], role)]
    return Finding(
        f"callers of {function.name}",
        not words,
        "; ".join(words) or deployment.resource(caller),
        f"{APPLY}; take away what Terraform did not give: gcloud run services "
        f"remove-iam-policy-binding {deployment.resource(function.name)} --region={region} "
        f"--role={role} --member=WHO",
    )


def _buckets(deployment: Deployment) -> Iterator[Finding]:
    """Look at Terraform's bucket, and at those that runs name."""
    ours = f"{deployment.project}-{deployment.name}-archive"
    for name in sorted({ours, *(policy.bucket for _, policy in deployment.archives)}):
        status, bucket = deployment.get("storage", f"storage/v1/b/{name}")
        place, kind = bucket.get("location", ""), bucket.get("storageClass", "")
        yield Finding(
            f"bucket {name}",
            place in COG_LOCATIONS and kind == "STANDARD",
            f"{place}, {kind}" if status == 200 else _refusal(bucket),
            "Earth Engine reads assets only from Standard buckets in "
            f"{', '.join(COG_LOCATIONS)}: {APPLY} (archive_location), or let archive.bucket of the "
            "run name another",
        )
        wanted = [
            (deployment.member(function.name), role)
            for function in deployment.pipeline.values()
            for role in function.bucket_roles
        ]
        policy = deployment.get("storage", f"storage/v1/b/{name}/iam")
        lacking = _lacking(policy, f"gs://{name}", wanted)
        yield Finding(
            f"grants of bucket {name}",
            not lacking,
            "; ".join(lacking) or "as in pipeline.yaml",
            APPLY
            if name == ours
            else f"gcloud storage buckets add-iam-policy-binding gs://{name} "
            "--member=serviceAccount:WHO --role=WHAT, for each",
        )


def _drive(deployment: Deployment) -> Iterator[Finding]:
    """Look at what second copies need, where a run asks for them."""
    runs = [name for name, policy in deployment.archives if policy.drive]
    if not runs:
        return
    path = f"v1/projects/{deployment.project}/services/drive.googleapis.com"
    state = deployment.get("serviceusage", path)[1].get("state", "not known")
    yield Finding(
        "Drive",
        state == "ENABLED",
        f"wanted by {', '.join(runs)}; its API is {state.lower()}",
        f"set `drive` in the tfvars (docs/operations.md, Second copies in Drive), then {APPLY}",
    )
    for function in deployment.pipeline.values():
        if function.drive:
            yield _writer_to_drive(deployment, function)


def _writer_to_drive(deployment: Deployment, function: Function) -> Finding:
    """Say as whom a function uses Drive, and what that lacks as far as can be seen from here."""
    what, member = f"Drive of {function.name}", deployment.member(function.name)
    deployed = deployment.functions.get(deployment.resource(function.name), {})
    volumes = deployed.get("serviceConfig", {}).get("secretVolumes", ())
    if not volumes:
        email = member.removeprefix("serviceAccount:")
        return Finding(what, True, f"let {email} be a content manager of the Shared Drive")
    secret = volumes[0]["secret"]
    path = f"v1/projects/{deployment.project}/secrets/{secret}"
    lacking = _lacking(
        deployment.get("secretmanager", f"{path}:getIamPolicy"),
        f"secret {secret}",
        [(member, "roles/secretmanager.secretAccessor")],
    )
    version = deployment.get("secretmanager", f"{path}/versions/latest")[1]
    if version.get("state") != "ENABLED":
        lacking.append(f"secret {secret} has no enabled version")
    return Finding(
        what,
        not lacking,
        "; ".join(lacking) or f"as the person whose credentials are secret {secret}",
        f"gcloud secrets versions add {secret} --data-file=CREDENTIALS.json; {APPLY}",
    )


def _lacking(
    answered: tuple[int, dict[str, Any]], where: str, wanted: Iterable[tuple[str, str]]
) -> list[str]:
    """Return which of some (member, role) a policy does not have, or why it cannot be read."""
    status, policy = answered
    if status != 200:
        return [f"{where}: {_refusal(policy)}"]
    return [
        f"{member.removeprefix('serviceAccount:')} lacks {role} on {where}"
        for member, role in wanted
        if member not in _members(policy, role)
    ]


def _members(policy: dict[str, Any], role: str) -> list[str]:
    return [
        member
        for binding in policy.get("bindings", ())
        if binding["role"] == role
        for member in binding["members"]
    ]


def _refusal(answer: dict[str, Any]) -> str:
    """Return a service's own words on why not."""
    words: str = answer.get("error", {}).get("message", "not there")
    return words
