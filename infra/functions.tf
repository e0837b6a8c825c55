# One archive for all functions. Its name is its content: a function is deployed anew exactly
# when its code has changed.
locals {
  archive_hash = try(filesha256("${path.module}/${var.archive}"), "not-built")
}

check "archive" {
  assert {
    condition     = local.archive_hash != "not-built"
    error_message = "There is no ${var.archive}. Build it with `make archive` before you apply."
  }
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:Access logs would need one more bucket; audit logs have who read what
  name                        = "${var.project_id}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # archives are built from the repository at any time

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_object" "archive" {
  name   = "functions-${local.archive_hash}.zip"
  bucket = google_storage_bucket.source.name
  source = "${path.module}/${var.archive}"
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:Google's own keys encrypt it; the images hold no secrets and no data
  repository_id = "${var.name}-functions"
  location      = var.region
  format        = "DOCKER"
  description   = "Images that Cloud Functions builds of the archive."

  # A roll-back deploys an older archive; its image is built again when it is gone.
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_cloudfunctions2_function" "function" {
  for_each = local.functions

  name        = each.value.resource
  location    = var.region
  description = each.value.topic != null ? "Takes ${each.value.topic}" : "Called at ${each.value.schedule}"

  build_config {
    runtime           = "python311" # what the tests run on
    entry_point       = each.key
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.archive.name
      }
    }
  }

  service_config {
    service_account_email = local.emails[each.key]
    available_memory      = each.value.memory
    timeout_seconds       = each.value.timeout_seconds
    max_instance_count    = each.value.max_instances
    ingress_settings      = "ALLOW_INTERNAL_ONLY"

    # The Earth Engine client keeps its session in the process.
    max_instance_request_concurrency = 1
    all_traffic_on_latest_revision   = true

    environment_variables = merge(
      {
        VERDURE_PROJECT    = var.project_id
        VERDURE_DEPLOYMENT = var.name
        LOG_EXECUTION_ID   = "true"
      },
      contains(keys(local.drive_functions), each.key) ? {
        VERDURE_DRIVE_CREDENTIALS = "${local.drive_folder}/${local.drive_file}"
      } : {},
    )

    dynamic "secret_volumes" {
      for_each = contains(keys(local.drive_functions), each.key) ? [local.drive_secret] : []
      content {
        mount_path = local.drive_folder
        project_id = var.project_id
        secret     = secret_volumes.value

        versions {
          version = "latest" # fetched when the file is read: a new version needs no deployment
          path    = local.drive_file
        }
      }
    }
  }

  depends_on = [
    google_secret_manager_secret_iam_member.drive,
    google_project_iam_member.build,
    google_storage_bucket_iam_member.build,
    google_artifact_registry_repository_iam_member.build,
  ]
}
