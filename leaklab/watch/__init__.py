"""Running processes followed from outside: as text in a terminal, as metrics for Prometheus."""
