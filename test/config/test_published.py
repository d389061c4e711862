import logging

import yaml

from drumblender.config import modernize


def test_options_that_lightning_dropped_leave_a_published_configuration(reference, caplog):
    published = yaml.safe_load((reference / "noise_parallel_transient_params.yaml").read_text())
    with caplog.at_level(logging.WARNING):
        config = modernize(published)
    assert "gpus" not in config["trainer"]
    assert config["trainer"]["accelerator"] == "auto"
    assert config["trainer"]["max_epochs"] == -1
    assert len(config["trainer"]["callbacks"]) == 4
    assert "verbose" not in config["lr_scheduler"]["init_args"]
    assert "Lightning 1.9" in caplog.text
    assert published["trainer"]["gpus"] is None, "the input stays as it is"


def test_a_configuration_of_today_stays_as_it_is():
    config = {"trainer": {"accelerator": "gpu", "logger": None, "max_epochs": 3}, "x": 1}
    assert modernize(config) == config
