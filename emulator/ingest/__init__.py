"""Images and tables from files in Cloud Storage."""
