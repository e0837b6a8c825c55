# Beside production in one project: all names begin with `name`, the ledger is a database of its own.
# Earth Engine's queue and quotas are the project's, so that the two share them.
project_id = "my-project"
name       = "staging"

# Nothing in it is worth keeping.
keep_data = false
