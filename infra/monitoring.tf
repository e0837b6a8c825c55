# Alerts, each with its section of docs/operations.md; a dashboard; metrics from our own log lines.
locals {
  ours     = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^${var.name}-\""
  channels = [for channel in google_monitoring_notification_channel.mail : channel.id]
}

resource "google_monitoring_notification_channel" "mail" {
  for_each = var.notify

  display_name = "Verdure: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.api]
}

# --- Metrics from log lines: shared/handler.py writes `jsonPayload`, one object a line.

resource "google_logging_metric" "closed" {
  name        = "${var.name}-exports-closed"
  description = "Exports that came to an end, by outcome and class of failure."
  filter      = "${local.ours} AND jsonPayload.outcome:*"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key = "outcome"
    }
    labels {
      key = "failure"
    }
  }

  label_extractors = {
    outcome = "EXTRACT(jsonPayload.outcome)"
    failure = "EXTRACT(jsonPayload.failure)"
  }

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "measured" {
  for_each = {
    oldest_hours = { unit = "h", description = "Hours that the oldest unfinished image of a run is in its state." }
    quota_share  = { unit = "1", description = "Share of Earth Engine's asset quota in use, of count or bytes, whichever is more." }
  }

  name            = "${var.name}-${replace(each.key, "_", "-")}"
  description     = each.value.description
  filter          = "${local.ours} AND jsonPayload.${each.key}:*"
  value_extractor = "EXTRACT(jsonPayload.${each.key})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
  }

  # From 1/100 to 10,000, each bucket a quarter wider than the last.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 62
      growth_factor      = 1.25
      scale              = 0.01
    }
  }

  depends_on = [google_project_service.api]
}

# --- Alerts

locals {
  logging = "logging.googleapis.com/user"
  alerts = {
    dead-letters = {
      title     = "Dead letters wait"
      filter    = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"${var.name}-.*-dead\")"
      threshold = 0
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = "300s"
    }
    oldest-image = {
      title     = "An image is in one state for too long"
      filter    = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logging}/${google_logging_metric.measured["oldest_hours"].name}\""
      threshold = var.thresholds.image_hours
      aligner   = "ALIGN_PERCENTILE_99"
      reducer   = "REDUCE_MAX"
      period    = "900s"
    }
    asset-quota = {
      title     = "Earth Engine's asset quota is nearly used up"
      filter    = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logging}/${google_logging_metric.measured["quota_share"].name}\""
      threshold = var.thresholds.quota_share
      aligner   = "ALIGN_PERCENTILE_99"
      reducer   = "REDUCE_MAX"
      period    = "3600s"
    }
    eecu-budget = {
      title     = "More compute in Earth Engine than budgeted for a day"
      filter    = "resource.type=\"earthengine.googleapis.com/Project\" AND metric.type=\"earthengine.googleapis.com/project/cpu/usage_time\""
      threshold = var.thresholds.eecu_hours_a_day * 3600 # the metric counts seconds
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      period    = "86400s"
    }
    function-errors = {
      title     = "A function fails again and again"
      filter    = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\" AND resource.labels.service_name=starts_with(\"${var.name}-\")"
      threshold = 20 # in 15 minutes; single ones are delivered again and need nobody
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      period    = "900s"
    }
  }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.alerts

  display_name          = "Verdure ${var.name}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = "0s"

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Runbook: docs/operations.md#${each.key}"
  }
}

resource "google_monitoring_alert_policy" "failures" {
  display_name          = "Verdure ${var.name}: Too many exports fail"
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = "Share of failed exports in an hour"

    condition_threshold {
      filter          = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logging}/${google_logging_metric.closed.name}\" AND metric.labels.outcome=\"FAILED\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.failure_share
      duration        = "0s"

      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }

      denominator_filter = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logging}/${google_logging_metric.closed.name}\""
      denominator_aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Runbook: docs/operations.md#failure-share"
  }
}

resource "google_monitoring_alert_policy" "silence" {
  display_name          = "Verdure ${var.name}: The schedule is silent"
  combiner              = "OR"
  notification_channels = local.channels
  enabled               = contains(keys(local.functions), "watch_exports")

  conditions {
    display_name = "No call of watch_exports for half an hour"

    condition_absent {
      filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND resource.labels.service_name=\"${var.name}-watch-exports\""
      duration = "1800s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Runbook: docs/operations.md#silence"
  }
}

# --- Dashboard: a chart for each alert, and the queues.

locals {
  charts = concat(
    [for x in values(local.alerts) : { title = x.title, filter = x.filter, aligner = x.aligner, reducer = x.reducer, period = x.period, by = [] }],
    [
      {
        title   = "Exports closed, by outcome"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"${local.logging}/${google_logging_metric.closed.name}\""
        aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", period = "3600s", by = ["metric.label.outcome"]
      },
      {
        title   = "Messages that wait"
        filter  = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.labels.subscription_id=starts_with(\"${var.name}-\")"
        aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", period = "300s", by = ["resource.label.subscription_id"]
      },
      {
        title   = "Calls of functions, by answer"
        filter  = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND resource.labels.service_name=starts_with(\"${var.name}-\")"
        aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", period = "300s", by = ["resource.label.service_name", "metric.label.response_code_class"]
      },
    ],
  )
}

resource "google_monitoring_dashboard" "overview" {
  dashboard_json = jsonencode({
    displayName = "Verdure ${var.name}"
    mosaicLayout = {
      columns = 12
      tiles = [for i, chart in local.charts : {
        xPos = 6 * (i % 2), yPos = 4 * floor(i / 2), width = 6, height = 4
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = chart.period
                    perSeriesAligner   = chart.aligner
                    crossSeriesReducer = chart.reducer
                    groupByFields      = chart.by
                  }
                }
              }
            }]
          }
        }
      }]
    }
  })

  depends_on = [google_project_service.api]
}
