resource "google_cloud_scheduler_job" "tick" {
  for_each = local.scheduled

  name             = each.value.resource
  region           = var.region
  description      = "Calls ${each.key}"
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  paused           = !contains(keys(local.functions), each.key)
  attempt_deadline = "600s" # a function ends by itself after 540 s

  retry_config {
    retry_count = 0 # the next tick does what this one did not
  }

  http_target {
    http_method = "POST"
    # A disabled function has no address; its paused job keeps one that answers nobody.
    uri = try(google_cloudfunctions2_function.function[each.key].service_config[0].uri, "https://${each.value.resource}.invalid")

    oidc_token {
      service_account_email = local.schedule
      audience              = try(google_cloudfunctions2_function.function[each.key].service_config[0].uri, "https://${each.value.resource}.invalid")
    }
  }

  depends_on = [google_project_service.api]
}
