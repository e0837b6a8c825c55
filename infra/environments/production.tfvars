# terraform apply -var-file=environments/production.tfvars
project_id = "my-project"
name       = "verdure"
notify     = ["somebody@example.com"]

# Second copies in Drive: docs/operations.md.
# drive = { secret = "verdure-drive" }

# budget = { billing_account = "012345-6789AB-CDEF01", amount = 50 }
