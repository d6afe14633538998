"""Where things are on HDFS, under the root (`/millpond`): one function per kind of path."""

from datetime import date

from millpond.catalog.partitions import Hour, Partition, folder

ZONES = ("raw", "clean", "quarantine", "marts", "models", "exports", "receipts", "interactions")


def raw_file(root: str, dataset: str, sha256: str, file: str) -> str:
    """A source file, byte for byte, once for all the dates that use it."""
    return f"{root}/raw/{dataset}/{sha256[:16]}-{file}"


def manifest(root: str, dataset: str, ds: date) -> str:
    """The JSON that names the source file of a date."""
    return f"{root}/raw/{dataset}/ds={ds}.json"


def receipts(root: str, table: str, partition: Partition) -> str:
    """The folder of a partition's receipts, claim and reports of failed attempts."""
    return f"{root}/receipts/{table}/{folder(partition)}"


def export(root: str, table: str, partition: Partition) -> str:
    """The CSV file of a partition."""
    return f"{root}/exports/{table}/{folder(partition)}.csv"


def export_number(root: str, table: str, partition: Partition) -> str:
    """The file that says of which publication a partition's CSV file is."""
    return f"{root}/exports/{table}/.{folder(partition)}.number"


def model(root: str, analysis: str, ds: date, application_id: str) -> str:
    """The folder of the model that an application learnt; the receipt names the current one."""
    return f"{root}/models/{analysis}/ds={ds}/{application_id}"


def staging(root: str, deployment: str) -> str:
    """Where Spark's clients upload what an application needs; its driver removes it at the end."""
    return f"{root}/staging/{deployment}"


def uploads(root: str, deployment: str) -> str:
    """The folder in it that has one folder for each application, named by its id."""
    return f"{staging(root, deployment)}/.sparkStaging"


def offsets(root: str, hour: Hour) -> str:
    """The file that says which offsets an hour is."""
    return f"{root}/interactions/offsets/{folder(hour)}.json"


def personal(root: str) -> str:
    """The folder of what says who somebody is; its owner alone may enter."""
    return f"{root}/interactions/_personal"
