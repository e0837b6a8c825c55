"""Earth Engine's REST surface: requests in, answers out."""
