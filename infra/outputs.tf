output "archive_bucket" {
  description = "Where outputs are archived."
  value       = google_storage_bucket.archive.name
}

output "dashboard" {
  description = "The dashboard, in a browser."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${basename(google_monitoring_dashboard.overview.id)}?project=${var.project_id}"
}

output "environment" {
  description = "What the `verdure` command needs to know of this deployment: eval \"$(terraform output -raw environment)\"."
  value       = "export VERDURE_STACK=cloud VERDURE_PROJECT=${var.project_id} VERDURE_DEPLOYMENT=${var.name}"
}

output "functions" {
  description = "Address of each function."
  value       = { for name, x in google_cloudfunctions2_function.function : name => x.service_config[0].uri }
  depends_on  = [google_cloud_run_v2_service_iam_member.invoke]
}

output "names" {
  description = "Names that must be unique in the project, or in the world."
  value = toset(concat(
    [google_firestore_database.ledger.name, google_storage_bucket.archive.name, google_storage_bucket.source.name],
    [google_artifact_registry_repository.images.repository_id, google_logging_metric.closed.name],
    [google_service_account.build.account_id, google_service_account.deliver.account_id, google_service_account.schedule.account_id],
    [for x in google_cloudfunctions2_function.function : x.name],
    [for x in google_service_account.function : x.account_id],
    [for x in google_pubsub_topic.topic : x.name],
    [for x in google_pubsub_topic.dead : x.name],
    [for x in google_pubsub_subscription.queue : x.name],
    [for x in google_pubsub_subscription.dead : x.name],
    [for x in google_logging_metric.measured : x.name],
    [for x in google_cloud_scheduler_job.tick : x.name],
  ))
}
