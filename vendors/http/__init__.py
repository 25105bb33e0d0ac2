"""What all services over HTTP share."""
