"""What we use of the Spark provider beyond its public interface, pinned to the version we read."""

import inspect
from importlib.metadata import version

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator


def test_the_provider_is_the_version_that_was_read() -> None:
    assert version("apache-airflow-providers-apache-spark") == "6.3.4"


def test_the_hook_builds_a_command_from_an_application() -> None:
    signature = inspect.signature(SparkSubmitHook._build_spark_submit_command)
    assert list(signature.parameters) == ["self", "application"]


def test_the_operator_makes_its_hook_from_its_attributes() -> None:
    # command() sets these just before it asks for the hook.
    source = inspect.getsource(SparkSubmitOperator._get_hook)
    for argument in ("conf=self.conf", "name=self.name", "application_args=self.application_args"):
        assert argument in source
