"""What is beside the app for more than one machine: nginx, the files for Kubernetes and containers."""
