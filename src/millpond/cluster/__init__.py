"""The local platform: every daemon on this machine, as plain processes on 127.0.0.1."""
