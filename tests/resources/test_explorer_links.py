"""Links into the explorer."""

from explorer.state import View, from_search
from resources.explorer_links import analysis_in_explorer, result_in_explorer


def test_a_link_shows_what_it_says():
    link = result_in_explorer("https://explorer.lab.org/", "unit_quality", "f" * 64)
    assert link == f"https://explorer.lab.org/?analysis=unit_quality&show={'f' * 20}"
    assert from_search(link.partition("?")[2]) == (View(analysis="unit_quality", show="f" * 20), [])


def test_odd_names_stay_inside_of_their_value():
    link = analysis_in_explorer("http://127.0.0.1:3001", "a&b=c d")
    assert from_search(link.partition("?")[2])[0] == View(analysis="a&b=c d")
