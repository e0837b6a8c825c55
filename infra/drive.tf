# Second copies in Drive (docs/archive.md), where `drive` asks for them. In a Shared Drive the functions
# write as themselves. In a person's Drive they need that person's OAuth credentials, which only Secret
# Manager has: Terraform is told the secret's name, so that no state holds what is in it.
locals {
  drive_secret = try(var.drive.secret, null)
  drive_apis = var.drive == null ? [] : (
    local.drive_secret == null ? ["drive.googleapis.com"] : ["drive.googleapis.com", "secretmanager.googleapis.com"]
  )
  # Functions that act as that person.
  drive_functions = { for name, x in local.pipeline : name => x if x.drive && local.drive_secret != null }
  drive_folder    = "/secrets/drive"
  drive_file      = "credentials.json"
}

resource "google_secret_manager_secret_iam_member" "drive" {
  for_each = local.drive_functions

  secret_id = local.drive_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${local.emails[each.key]}"

  depends_on = [google_project_service.api]
}
