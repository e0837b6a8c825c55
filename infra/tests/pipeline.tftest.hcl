# What changes with pipeline.yaml and the variables. Nothing is contacted: make infra runs these
# with a stand-in provider; with the real one they need credentials for `my-project`.

variables {
  project_id = "my-project"
  archive    = "pipeline.yaml" # any file: nothing is uploaded
}

run "as_it_is" {
  command = plan

  assert {
    condition     = length(google_cloudfunctions2_function.function) == length(local.pipeline)
    error_message = "Every function of pipeline.yaml is deployed."
  }
  assert {
    condition     = alltrue([for x in google_cloudfunctions2_function.function : x.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"])
    error_message = "No function answers the internet."
  }
}

run "a_disabled_function_loses_no_message" {
  command = plan

  variables {
    disabled_functions = ["mask_image"]
  }

  assert {
    condition     = !contains(keys(google_cloudfunctions2_function.function), "mask_image")
    error_message = "A disabled function is not deployed."
  }
  assert {
    condition     = length(google_pubsub_subscription.queue["image-found"].push_config) == 0
    error_message = "Nothing is pushed to a function that is not there."
  }
  assert {
    condition     = google_pubsub_subscription.queue["image-found"].message_retention_duration == "604800s"
    error_message = "Its messages wait for a week."
  }
  assert {
    condition     = length(google_pubsub_subscription.queue["export-finished"].push_config) == 1
    error_message = "The other functions go on."
  }
}

run "a_disabled_schedule_pauses" {
  command = plan

  variables {
    disabled_functions = ["watch_exports"]
  }

  assert {
    condition     = google_cloud_scheduler_job.tick["watch_exports"].paused && !google_cloud_scheduler_job.tick["find_images"].paused
    error_message = "Only the disabled function's schedule pauses."
  }
  assert {
    condition     = !google_monitoring_alert_policy.silence.enabled
    error_message = "A function that is off on purpose raises no alert."
  }
}

run "a_function_that_only_the_yaml_knows" {
  command = plan

  variables {
    pipeline = "tests/one-more.yaml"
  }

  assert {
    condition     = google_cloudfunctions2_function.function["map_season"].build_config[0].entry_point == "map_season"
    error_message = "It is deployed."
  }
  assert {
    condition     = google_service_account.function["map_season"].account_id == "verdure-map-season"
    error_message = "It has a service account of its own."
  }
  assert {
    condition     = google_pubsub_subscription.queue["season-ready"].dead_letter_policy[0].max_delivery_attempts == 7
    error_message = "Its subscription has the attempts of the YAML."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.publish["map_season/export-finished"].role == "roles/pubsub.publisher"
    error_message = "It may publish what the YAML says."
  }
  assert {
    condition     = google_project_iam_member.function["map_season/roles/earthengine.viewer"].member == "serviceAccount:verdure-map-season@my-project.iam.gserviceaccount.com"
    error_message = "It has the roles of the YAML."
  }
  assert {
    condition     = google_storage_bucket_iam_member.function["map_season/roles/storage.objectViewer"].role == "roles/storage.objectViewer"
    error_message = "It has the bucket roles of the YAML."
  }
}

run "a_function_whose_name_is_too_long" {
  command = plan

  variables {
    pipeline = "tests/long-name.yaml"
  }

  expect_failures = [google_service_account.function]
}

run "the_audit_log_calls_watch_exports" {
  command = plan

  variables {
    watch_audit_log = true
  }

  assert {
    condition     = length(google_pubsub_subscription.queue["task-ended"].push_config) == 1
    error_message = "The end of a task is pushed."
  }
  assert {
    condition     = !strcontains(google_logging_project_sink.task_ended["task-ended"].filter, "Compute") && !strcontains(google_logging_project_sink.task_ended["task-ended"].filter, "ListOperations")
    error_message = "What watch_exports does itself must not be in the filter."
  }
}

run "no_drive_unless_asked_for" {
  command = plan

  assert {
    condition     = !contains(keys(google_project_service.api), "drive.googleapis.com") && length(google_secret_manager_secret_iam_member.drive) == 0
    error_message = "Neither the API nor a secret, unless a variable says so."
  }
}

run "second_copies_in_a_shared_drive" {
  command = plan

  variables {
    drive = {}
  }

  assert {
    condition     = contains(keys(google_project_service.api), "drive.googleapis.com") && !contains(keys(google_project_service.api), "secretmanager.googleapis.com")
    error_message = "Drive's API is enabled, Secret Manager's is not needed."
  }
  assert {
    condition     = alltrue([for x in google_cloudfunctions2_function.function : !contains(keys(x.service_config[0].environment_variables), "VERDURE_DRIVE_CREDENTIALS")])
    error_message = "The functions write as themselves."
  }
}

run "second_copies_in_a_persons_drive" {
  command = plan

  variables {
    drive = { secret = "verdure-drive" }
  }

  assert {
    condition     = contains(keys(google_project_service.api), "secretmanager.googleapis.com")
    error_message = "The secret is Secret Manager's."
  }
  assert {
    condition     = toset([for x in google_secret_manager_secret_iam_member.drive : x.member]) == toset(["serviceAccount:verdure-archive-assets@my-project.iam.gserviceaccount.com", "serviceAccount:verdure-restore-asset@my-project.iam.gserviceaccount.com"])
    error_message = "Only the functions that use Drive may read the secret."
  }
  assert {
    condition     = google_cloudfunctions2_function.function["archive_assets"].service_config[0].environment_variables["VERDURE_DRIVE_CREDENTIALS"] == "/secrets/drive/credentials.json"
    error_message = "They are told where it is."
  }
  assert {
    condition     = one(google_cloudfunctions2_function.function["archive_assets"].service_config[0].secret_volumes).mount_path == "/secrets/drive" && one(one(google_cloudfunctions2_function.function["archive_assets"].service_config[0].secret_volumes).versions).path == "credentials.json"
    error_message = "It is there."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.function["mask_image"].service_config[0].secret_volumes) == 0
    error_message = "The others have no secret."
  }
}

run "destroy_keeps_data_unless_told" {
  command = plan

  assert {
    condition     = google_firestore_database.ledger.deletion_policy == "ABANDON" && !google_storage_bucket.archive.force_destroy
    error_message = "By default the ledger and the archive outlive the deployment."
  }
}
