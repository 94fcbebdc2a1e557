"""The configuration: what it may say (schema), how it is read (load), and what must agree (check)."""

from gateway.config.check import check
from gateway.config.load import Found, find_config, load, loads
from gateway.config.problem import ConfigError, Position, Problem
from gateway.config.schema import (
    Admin,
    CircuitBreaker,
    Config,
    Limits,
    Logging,
    Mock,
    Model,
    Pool,
    Price,
    Provider,
    Retry,
    Server,
    ServerTimeouts,
    Tls,
    Tracing,
    UpstreamTimeouts,
    Usage,
)
from gateway.config.secret import Secret

__all__ = [
    "Admin",
    "CircuitBreaker",
    "Config",
    "ConfigError",
    "Found",
    "Limits",
    "Logging",
    "Mock",
    "Model",
    "Pool",
    "Position",
    "Price",
    "Problem",
    "Provider",
    "Retry",
    "Secret",
    "Server",
    "ServerTimeouts",
    "Tls",
    "Tracing",
    "UpstreamTimeouts",
    "Usage",
    "check",
    "find_config",
    "load",
    "loads",
]
