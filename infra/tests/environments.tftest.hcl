# Two environments in one project: nothing of one has the name of anything of the other.

variables {
  project_id = "my-project"
  archive    = "pipeline.yaml" # any file: nothing is uploaded
}

run "production" {
  command = apply
}

run "staging" {
  command = apply

  # A state of its own, as with a prefix of its own in the bucket.
  state_key = "staging"

  variables {
    name      = "staging"
    keep_data = false
  }

  assert {
    condition     = length(setintersection(output.names, run.production.names)) == 0
    error_message = "Both have ${join(", ", setintersection(output.names, run.production.names))}."
  }
  assert {
    condition     = google_firestore_database.ledger.name == "staging"
    error_message = "Each has a ledger of its own."
  }
  assert {
    condition     = alltrue([for x in google_cloudfunctions2_function.function : x.service_config[0].environment_variables["VERDURE_DEPLOYMENT"] == "staging"])
    error_message = "The functions know which deployment they are of."
  }
}
