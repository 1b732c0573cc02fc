"""The operations over HTTP, as JSON, with their description as OpenAPI 3.1 (HTTP-08)."""
