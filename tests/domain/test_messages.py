import pytest

from domain.messages import counted, joined, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a@b.nwb", "s3://bucket/a@b.nwb"),
        ("https://me:pw@host/x", "https://…"),
        ("https://me:pa/ss@host/x", "https://…"),
        ("me:pw@host/x", "…host/x"),
        ("https://host/x?sig=secret", "https://host/x…"),
        ("a\nb\ud800", "a\\nb\\ud800"),
        ("x" * 200, "x" * 80 + "…"),
    ],
)
def test_a_text_in_a_message_is_short_printable_and_without_secrets(text, expected):
    assert shown(text) == expected


def test_a_long_list_of_faults_is_cut_with_their_number():
    assert joined(["a", "b"]) == "a; b"
    assert joined([str(i) for i in range(60)]).endswith("; 49; and 10 more")


def test_a_number_of_things_has_the_plural_unless_it_is_one():
    assert [counted(n, "job") for n in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
