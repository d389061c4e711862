import warnings

import pytest

from drumblender.files.fonts import any_script, families_for
from drumblender.plotting import figure_to_image


def figure_with(title):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 1))
    figure.suptitle(title, parse_math=False)
    return figure


@pytest.mark.parametrize("name", ["大太鼓 큰북", "เสียง", "طبل", "🥁", "Größe ø"])
def test_a_name_in_any_script_is_drawn_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # by matplotlib, of what it builds on
        assert figure_to_image(figure_with(name)).min() < 100


def test_a_character_is_drawn_by_an_installed_font_that_has_it():
    # Which is not in DejaVu Sans, but in a font that comes with matplotlib.
    assert families_for(frozenset("\u20dd"))
    figure = figure_with("x\u20dd")
    with any_script(figure):
        pass
    assert len(figure._suptitle.get_fontfamily()) > 1


def test_no_font_is_looked_for_where_none_is_needed():
    figure = figure_with("kick_01 é")
    with any_script(figure):
        pass
    assert figure._suptitle.get_fontfamily() == ["sans-serif"]
