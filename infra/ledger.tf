resource "google_firestore_database" "ledger" {
  name                              = var.name
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC" # two deliveries of a message wait for each other
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.keep_data ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.keep_data ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.api]
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.ledger.name
  retention = "1209600s" # 14 days

  daily_recurrence {}
}

# Ledger.waiting: what is FOUND and due, of one run, oldest first.
resource "google_firestore_index" "waiting" {
  database   = google_firestore_database.ledger.name
  collection = "exports"

  dynamic "fields" {
    for_each = ["run", "state", "queued_at", "export_id"]
    content {
      field_path = fields.value
      order      = "ASCENDING"
    }
  }
}

# Never asked for by value: long texts, and times, whose indexes would cap a collection at 500
# writes a second. Composite indexes do not need these.
resource "google_firestore_field" "unindexed" {
  for_each = {
    "exports/claimed_at" = {}, "exports/ended_at" = {}, "exports/sensed_at" = {},
    "exports/queued_at"  = {}, "exports/footprint" = {}, "exports/item" = {},
    "exports/reason"     = {}, "exports/next_action" = {}, "runs/body" = {},
  }

  database   = google_firestore_database.ledger.name
  collection = split("/", each.key)[0]
  field      = split("/", each.key)[1]

  index_config {}
}

# What `verdure doctor` writes to try the ledger goes, should it end before it cleans up.
resource "google_firestore_field" "probes" {
  database   = google_firestore_database.ledger.name
  collection = "probes"
  field      = "expires_at"

  ttl_config {}
}
