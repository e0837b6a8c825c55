"""An Earth Engine that runs on a laptop and speaks Earth Engine's REST API."""
