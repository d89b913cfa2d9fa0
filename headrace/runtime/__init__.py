"""What starts, watches, restarts and stops the services and the pipeline's processes."""
