variable "archive" {
  description = "Path of the function archive that `make archive` writes, seen from this folder."
  type        = string
  default     = "../out/functions.zip"
}

variable "archive_location" {
  description = "Where outputs are archived. Only these locations can back an Earth Engine asset."
  type        = string
  default     = "US-CENTRAL1"

  validation {
    condition     = contains(["US", "US-CENTRAL1", "NAM4"], var.archive_location)
    error_message = "archive_location is ${var.archive_location}; Earth Engine reads COG-backed assets only from US (multi-region), NAM4 (dual-region with us-central1) or US-CENTRAL1."
  }
}

variable "budget" {
  description = "Monthly budget whose 50, 90 and 100 % are mailed; null for none. The amount is in the currency of the billing account."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.amount >= 1
    error_message = "budget needs a billing_account such as 012345-6789AB-CDEF01 (gcloud billing accounts list) and an amount of 1 or more."
  }
}

variable "disabled_functions" {
  description = "Functions of pipeline.yaml that are not to run. Their messages wait (a week at most), their schedules pause."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.disabled_functions, keys(local.pipeline))) == 0
    error_message = "disabled_functions has ${join(", ", setsubtract(var.disabled_functions, keys(local.pipeline)))}; pipeline.yaml has only ${join(", ", keys(local.pipeline))}."
  }
}

variable "drive" {
  description = "Whether runs may keep second copies in Drive (archive.drive); null for not. `{}` for a folder of a Shared Drive; with `secret`, the name of a secret of this project that holds a person's OAuth credentials, for a folder of that person's."
  type = object({
    secret = optional(string)
  })
  default = null

  validation {
    condition     = try(var.drive.secret, null) == null ? true : can(regex("^[A-Za-z0-9_-]{1,255}$", var.drive.secret))
    error_message = "drive.secret is ${coalesce(try(var.drive.secret, null), "not set")}; expected the name of a secret of this project, such as verdure-drive (gcloud secrets list)."
  }
}

variable "keep_data" {
  description = "Whether `terraform destroy` leaves the ledger and the archived files as they are."
  type        = bool
  default     = true
}

variable "name" {
  description = "Name of this deployment: the prefix of its resources, and its Firestore database."
  type        = string
  default     = "verdure"

  validation {
    # A service account's id has at most 30 characters, `map-productivity` needs 17 of them.
    condition     = can(regex("^[a-z][a-z0-9-]{2,11}[a-z0-9]$", var.name))
    error_message = "name is ${var.name}; expected 4 to 13 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "notify" {
  description = "E-mail addresses that alerts and budgets go to."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.notify : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "notify is ${jsonencode(var.notify)}; expected e-mail addresses."
  }
}

variable "pipeline" {
  description = "File with the functions, seen from this folder."
  type        = string
  default     = "pipeline.yaml"
}

variable "project_id" {
  description = "Google Cloud project, registered for Earth Engine."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is ${var.project_id}; expected a project id (not its name or number): 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of functions, schedules and ledger. Earth Engine is nearest in us-central1."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is ${var.region}; expected a region such as us-central1 (gcloud functions regions list)."
  }
}

variable "thresholds" {
  description = "Above which an alert is raised: share of failed exports in an hour, hours that an image is in one state, share of Earth Engine's asset quota, EECU-hours in 24 hours."
  type = object({
    failure_share    = optional(number, 0.1)
    image_hours      = optional(number, 48)
    quota_share      = optional(number, 0.8)
    eecu_hours_a_day = optional(number, 100)
  })
  default = {}

  validation {
    condition = alltrue([
      var.thresholds.failure_share > 0, var.thresholds.failure_share < 1,
      var.thresholds.quota_share > 0, var.thresholds.quota_share < 1,
      var.thresholds.image_hours > 0, var.thresholds.eecu_hours_a_day > 0,
    ])
    error_message = "thresholds is ${jsonencode(var.thresholds)}; expected shares between 0 and 1, hours above 0."
  }
}

variable "watch_audit_log" {
  description = "Whether the end of a task also calls watch_exports at once, by Earth Engine's audit log. The log is billed, and each ended task costs one listing."
  type        = bool
  default     = false
}
