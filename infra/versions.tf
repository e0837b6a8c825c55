terraform {
  required_version = ">= 1.9" # validations that look at other variables

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # Which bucket: environments/*.gcs.tfbackend, by `terraform init -backend-config=FILE`.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  # Budgets and Earth Engine are billed to this project, also with a person's credentials.
  billing_project       = var.project_id
  user_project_override = true

  default_labels = { deployment = var.name }
}
