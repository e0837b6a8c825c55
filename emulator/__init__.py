"""An Earth Engine that runs on a laptop and speaks Earth Engine's REST API."""

#: The project that is served unless another one is chosen.
PROJECT = "demo-project"
