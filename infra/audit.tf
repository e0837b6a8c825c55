# Optional: the audit log's entry on the end of an export calls watch_exports at once. Only
# the last entry of an export operation matches, and neither listing nor computing is one,
# so that what watch_exports itself does cannot call it again.
locals {
  audited = var.watch_audit_log ? { task-ended = {} } : {}
}

resource "google_project_iam_audit_config" "earth_engine" {
  for_each = local.audited

  project = var.project_id
  service = "earthengine.googleapis.com"

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}

resource "google_logging_project_sink" "task_ended" {
  for_each = local.audited

  name                   = "${var.name}-task-ended"
  destination            = "pubsub.googleapis.com/projects/${var.project_id}/topics/${google_pubsub_topic.topic[each.key].name}"
  unique_writer_identity = true

  filter = join(" AND ", [
    "protoPayload.serviceName=\"earthengine.googleapis.com\"",
    "protoPayload.methodName=~\"\\.EarthEngine\\.ExportImage$\"",
    "operation.last=true",
  ])
}

resource "google_pubsub_topic_iam_member" "task_ended" {
  for_each = local.audited

  topic  = google_pubsub_topic.topic[each.key].name
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.task_ended[each.key].writer_identity
}

# watch_exports is called by its schedule; here also by the subscription.
resource "google_cloud_run_v2_service_iam_member" "task_ended" {
  for_each = { for key, x in local.audited : key => x if contains(keys(local.functions), "watch_exports") }

  name     = google_cloudfunctions2_function.function["watch_exports"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "serviceAccount:${local.deliver}"

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.function["watch_exports"].id]
  }
}
