# Wrong values are refused before anything is planned. The messages are in variables.tf.

variables {
  project_id = "my-project"
  archive    = "pipeline.yaml" # any file: nothing is uploaded
}

run "project_name_instead_of_id" {
  command = plan
  variables {
    project_id = "My Project"
  }
  expect_failures = [var.project_id]
}

run "name_too_long_for_service_accounts" {
  command = plan
  variables {
    name = "verdure-production"
  }
  expect_failures = [var.name]
}

run "a_bucket_that_earth_engine_cannot_read" {
  command = plan
  variables {
    archive_location = "EU"
  }
  expect_failures = [var.archive_location]
}

run "disabling_what_is_not_there" {
  command = plan
  variables {
    disabled_functions = ["mask_images"]
  }
  expect_failures = [var.disabled_functions]
}

run "no_address" {
  command = plan
  variables {
    notify = ["the operator"]
  }
  expect_failures = [var.notify]
}

run "a_share_in_percent" {
  command = plan
  variables {
    thresholds = { failure_share = 10 }
  }
  expect_failures = [var.thresholds]
}

run "a_budget_without_an_account" {
  command = plan
  variables {
    budget = { billing_account = "mine", amount = 50 }
  }
  expect_failures = [var.budget]
}

run "a_secret_by_its_path" {
  command = plan
  variables {
    drive = { secret = "projects/my-project/secrets/verdure-drive" }
  }
  expect_failures = [var.drive]
}
