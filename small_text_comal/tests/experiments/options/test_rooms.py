"""Options of the command line come from the fields of the dataclasses."""

from dataclasses import fields

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.merged import merged_config
from small_text_comal.experiments.options.rooms import ROOMS, command_options, given_tables

# what the command line has had from its first release on
TOP = ("output", "dataset")
PROTOCOL = ("strategy", "seed", "initial_size", "query_size", "rounds", "metric", "full_data")
CLASSIFIER = ("classifier", "label_names", "threshold")
ENCODER = ("model", "max_length", "frozen_layers")
TRAINING = ("max_epochs", "patience", "learning_rate", "batch_size")
EXECUTION = ("device", "cache_folder", "threads", "jobs", "backend", "cluster")
DATASETS = ("pool_size", "validation_size", "test_size", "min_label_count", "drop_unlabeled")
FLAGS = [*TOP, *PROTOCOL, *CLASSIFIER, *ENCODER, *TRAINING, "latent_size", *EXECUTION, *DATASETS]


def test_the_command_line_keeps_its_options():
    assert [option.flag for option in command_options()] == FLAGS


def test_every_option_of_the_command_line_reaches_the_experiment():
    numbers = iter(range(1, 100))
    values = {str: lambda: f"text{next(numbers)}", int: lambda: next(numbers), float: lambda: 0.5, bool: lambda: False}
    given = {option.flag: values[option.kind]() for option in command_options() if option.kind in values}
    given |= {
        "classifier": "setfit",
        "backend": "dask",
        "drop_unlabeled": True,
        "strategy": ["MMC"],
        "metric": ["p@2"],
        "seed": [7],
    }
    config = merged_config({}, given_tables(given | {"dataset": ["jsonl:d"]}))
    groups = {"": [config, config.protocol, config.classifier, config.execution], "dataset": config.datasets}
    for option in command_options():
        if option.flag in given:
            (found,) = (
                getattr(options, option.name)
                for options in groups.get(option.table) or [getattr(config, option.table)]
                if hasattr(options, option.name) and (options, option.name) != (config, "classifier")  # the group
            )
            assert (list(found) if isinstance(found, tuple) else found) == given[option.flag], option


def test_names_are_never_in_two_groups():
    names = [name for room in ROOMS if not room.table for name in room.options]
    assert len(set(names)) == len(names)
    own = {one.name for one in fields(DatasetSpec)} & set(names)
    assert own == {"strategies", "seeds"}  # a data set may override these
