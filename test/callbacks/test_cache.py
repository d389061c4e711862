import importlib.util
import sys
import warnings

import pytest
from training import make_trainer, run_all_stages

from drumblender.callbacks import CleanWandbCacheCallback
from drumblender.errors import UsageError


def test_cleaning_the_cache_without_wandb_warns_once_and_does_nothing(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "wandb" else find_spec(name, *a),
    )
    trainer = make_trainer(
        tmp_path, [CleanWandbCacheCallback(every_n_epochs=1, max_size_in_gb=2.0)], max_epochs=2
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_all_stages(trainer, batches=1)
    assert sum("wandb is not installed" in str(warning.message) for warning in caught) == 1


@pytest.mark.parametrize(("every_n_epochs", "max_epochs", "times"), [(1, 2, 2), (2, 5, 2)])
def test_the_cache_is_cleaned_every_nth_epoch(
    tmp_path, monkeypatch, every_n_epochs, max_epochs, times
):
    # A module of that name which notes how it was called: the real one has a cache of its own.
    (tmp_path / "wandb.py").write_text(
        f"import sys; open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    callback = CleanWandbCacheCallback(every_n_epochs=every_n_epochs, max_size_in_gb=1.5)
    run_all_stages(make_trainer(tmp_path, [callback], max_epochs=max_epochs), batches=1)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["artifact cache cleanup 1.5GB"] * times


def test_impossible_cache_settings_are_refused():
    with pytest.raises(UsageError, match="every_n_epochs"):
        CleanWandbCacheCallback(every_n_epochs=0)
    with pytest.raises(UsageError, match="max_size_in_gb"):
        CleanWandbCacheCallback(max_size_in_gb=-1.0)
