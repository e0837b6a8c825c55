# Where outputs are archived. A COG-backed asset is pinned to one generation of its object, so
# that no rule here may delete, replace or move an object, also not an older version of one.
resource "google_storage_bucket" "archive" {
  #checkov:skip=CKV_GCP_62:Access logs would need one more bucket; audit logs have who read what
  name                        = "${var.project_id}-${var.name}-archive"
  location                    = var.archive_location
  storage_class               = "STANDARD" # the only class that Earth Engine reads assets from
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.keep_data

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = 2592000 # 30 days
  }

  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  depends_on = [google_project_service.api]
}
