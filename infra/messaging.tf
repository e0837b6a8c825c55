# Everything about queues: topic, push, dead letters, and the subscription that keeps those.
locals {
  # Topics of messages.py, and that of the audit log where it is watched.
  queues = merge(
    { for topic, function in local.topics : topic => {
      function      = function
      attempts      = local.pipeline[function].attempts
      retry_seconds = local.pipeline[function].retry_seconds
      resource      = local.pipeline[function].resource
    } },
    var.watch_audit_log ? { task-ended = {
      function      = "watch_exports"
      attempts      = 5
      retry_seconds = [10, 600]
      resource      = "${var.name}-task-ended"
    } } : {},
  )
  week  = "604800s"  # 7 days, the longest that a subscription keeps messages without extra cost
  month = "2678400s" # 31 days, the longest at all
}

resource "google_pubsub_topic" "topic" {
  for_each = local.queues

  #checkov:skip=CKV_GCP_83:Google's own keys encrypt it; messages hold ids of public images
  name       = "${var.name}-${each.key}"
  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "dead" {
  for_each = local.queues

  #checkov:skip=CKV_GCP_83:Google's own keys encrypt it; messages hold ids of public images
  name       = "${var.name}-${each.key}-dead"
  depends_on = [google_project_service.api]
}

resource "google_pubsub_subscription" "queue" {
  for_each = local.queues

  name                       = each.value.resource
  topic                      = google_pubsub_topic.topic[each.key].name
  ack_deadline_seconds       = 600 # for push, the time a function has to answer
  message_retention_duration = local.week

  # A disabled function's messages wait here, unpushed, until it is enabled again.
  dynamic "push_config" {
    for_each = contains(keys(local.functions), each.value.function) ? [each.value.function] : []
    content {
      push_endpoint = google_cloudfunctions2_function.function[push_config.value].service_config[0].uri
      oidc_token {
        service_account_email = local.deliver
        audience              = google_cloudfunctions2_function.function[push_config.value].service_config[0].uri
      }
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.retry_seconds[0]}s"
    maximum_backoff = "${each.value.retry_seconds[1]}s"
  }

  dead_letter_policy {
    dead_letter_topic     = "projects/${var.project_id}/topics/${google_pubsub_topic.dead[each.key].name}"
    max_delivery_attempts = each.value.attempts
  }

  expiration_policy {
    ttl = "" # never: one that nobody used for a month would vanish, and its messages with it
  }
}

resource "google_pubsub_subscription" "dead" {
  for_each = local.queues

  name                       = "${var.name}-${each.key}-dead"
  topic                      = google_pubsub_topic.dead[each.key].name
  ack_deadline_seconds       = 60
  message_retention_duration = local.month

  expiration_policy {
    ttl = ""
  }
}
