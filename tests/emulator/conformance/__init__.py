"""What Earth Engine is published to answer, family by family; `make conformance` runs it all."""
