"""Tests in a real browser. A package, so that platform and browser end with its last test."""
