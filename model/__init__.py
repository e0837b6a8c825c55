"""Training, judging and publishing of the cloud model; nothing of it is deployed."""
