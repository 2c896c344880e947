"""The egress proxy: the one way out for downloads and webhooks, closed on any doubt."""
