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

# Ledger.waiting: what is FOUND and due, of one run, oldest first. AssetLedger.in_states: the assets
# of one run in some states, those longest in them first.
resource "google_firestore_index" "ordered" {
  for_each = {
    exports = ["run", "state", "queued_at", "export_id"]
    assets  = ["run", "state", "changed_at", "record_id"]
  }

  database   = google_firestore_database.ledger.name
  collection = each.key

  dynamic "fields" {
    for_each = each.value
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
    "assets/changed_at"  = {}, "assets/delete_after" = {}, "assets/sensed_at" = {},
    "assets/used_at"     = {}, "assets/read_at" = {}, "assets/description" = {}, "assets/item" = {},
    "assets/files"       = {}, "assets/reason" = {}, "assets/next_action" = {},
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
