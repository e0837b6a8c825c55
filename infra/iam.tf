# A service account for each function, one to build, one to deliver messages, one for the clock.
# None has a key: functions run as theirs, and Pub/Sub and Scheduler sign for theirs.
locals {
  # Put together here, so that a plan shows who gets what.
  domain       = "${var.project_id}.iam.gserviceaccount.com"
  emails       = { for name, account in google_service_account.function : name => "${account.account_id}@${local.domain}" }
  deliver      = "${google_service_account.deliver.account_id}@${local.domain}"
  schedule     = "${google_service_account.schedule.account_id}@${local.domain}"
  build        = "${google_service_account.build.account_id}@${local.domain}"
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  function_roles = merge([
    for name, x in local.pipeline : {
      for role in x.roles : "${name}/${role}" => { function = name, role = role }
    }
  ]...)
  function_buckets = merge([
    for name, x in local.pipeline : {
      for role in x.bucket_roles : "${name}/${role}" => { function = name, role = role }
    }
  ]...)
  function_topics = merge([
    for name, x in local.pipeline : {
      for topic in x.publishes : "${name}/${topic}" => { function = name, topic = topic }
    }
  ]...)
}

resource "google_service_account" "function" {
  for_each = local.pipeline

  account_id   = each.value.resource
  display_name = "Verdure function ${each.key}"
  depends_on   = [google_project_service.api]

  lifecycle {
    precondition {
      condition     = length(each.value.resource) <= 30
      error_message = "${each.value.resource} would be a service account's id, of at most 30 characters; shorten the function's name in pipeline.yaml, or `name`."
    }
  }
}

resource "google_service_account" "build" {
  account_id   = "${var.name}-build"
  display_name = "Builds Verdure's functions"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "deliver" {
  account_id   = "${var.name}-deliver"
  display_name = "Pushes Pub/Sub messages to Verdure's functions"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "schedule" {
  account_id   = "${var.name}-schedule"
  display_name = "Calls Verdure's functions on schedule"
  depends_on   = [google_project_service.api]
}

resource "google_project_iam_member" "function" {
  for_each = local.function_roles

  project = var.project_id
  role    = each.value.role
  member  = "serviceAccount:${local.emails[each.value.function]}"

  # The ledger of this deployment only: databases are the one thing that a condition can tell apart.
  dynamic "condition" {
    for_each = startswith(each.value.role, "roles/datastore.") ? [1] : []
    content {
      title      = "ledger-of-${var.name}"
      expression = "resource.name == \"projects/${var.project_id}/databases/${var.name}\" || resource.name.startsWith(\"projects/${var.project_id}/databases/${var.name}/\")"
    }
  }
}

resource "google_storage_bucket_iam_member" "function" {
  for_each = local.function_buckets

  bucket = google_storage_bucket.archive.name
  role   = each.value.role
  member = "serviceAccount:${local.emails[each.value.function]}"
}

resource "google_pubsub_topic_iam_member" "publish" {
  for_each = local.function_topics

  topic  = google_pubsub_topic.topic[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${local.emails[each.value.function]}"
}

# What Cloud Functions' documentation asks of a build account of one's own.
resource "google_project_iam_member" "build" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = "serviceAccount:${local.build}"
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${local.build}"
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${local.build}"
}

# Who may call a function: its subscription or its schedule, nobody else.
resource "google_cloud_run_v2_service_iam_member" "invoke" {
  for_each = local.functions

  name     = google_cloudfunctions2_function.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "serviceAccount:${each.value.topic != null ? local.deliver : local.schedule}"

  lifecycle {
    # A function that is made anew has forgotten who may call it.
    replace_triggered_by = [google_cloudfunctions2_function.function[each.key].id]
  }
}

# The three grants without which Pub/Sub silently drops instead of dead-lettering:
# its agent signs tokens as `deliver`, publishes to the dead letters, takes from the source.
resource "google_service_account_iam_member" "sign" {
  service_account_id = google_service_account.deliver.id
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_pubsub_topic_iam_member" "bury" {
  for_each = local.queues

  topic  = google_pubsub_topic.dead[each.key].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "bury" {
  for_each = local.queues

  subscription = google_pubsub_subscription.queue[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
