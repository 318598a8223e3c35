"""The service: an API for programs, and the page."""
