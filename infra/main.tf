# pipeline.yaml says which functions there are; everything else follows from it.
locals {
  pipeline = {
    for name, function in yamldecode(file("${path.module}/${var.pipeline}")).functions : name => {
      topic           = try(function.topic, null)
      schedule        = try(function.schedule, null)
      attempts        = try(function.attempts, 5)
      retry_seconds   = try(function.retry_seconds, [10, 600])
      roles           = toset(try(function.roles, []))
      publishes       = toset(try(function.publishes, []))
      bucket_roles    = toset(try(function.bucket_roles, []))
      drive           = try(function.drive, false)
      memory          = try(function.memory, "512Mi")
      timeout_seconds = try(function.timeout_seconds, 540)
      max_instances   = try(function.max_instances, 1)
      resource        = "${var.name}-${replace(name, "_", "-")}"
    }
  }

  functions = { for name, x in local.pipeline : name => x if !contains(var.disabled_functions, name) }
  consumers = { for name, x in local.pipeline : name => x if x.topic != null }
  scheduled = { for name, x in local.pipeline : name => x if x.schedule != null }

  # Topics by their name in messages.py, each with the function that takes its messages.
  topics = { for name, x in local.consumers : x.topic => name }

  apis = toset([
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "earthengine.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
  ])
}

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_service" "api" {
  for_each = setunion(local.apis, local.drive_apis)

  service            = each.value
  disable_on_destroy = false # others in the project may use it
}
