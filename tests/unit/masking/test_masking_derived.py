"""Substitutes for columns that are unique or must not be null."""

from habeas.masking.derived import derive, material_of


def test_a_substitute_repeats_for_one_secret_and_differs_for_another() -> None:
    assert derive("ann", "secret") == derive("ann", "secret") != derive("ann", "other")


def test_a_substitute_is_cut_to_the_columns_length() -> None:
    assert len(derive("ann", "secret")) == 52
    assert derive("ann", "secret", 12) == derive("ann", "secret")[:12]


def test_a_suffix_stays_whole_and_the_text_before_it_is_cut() -> None:
    whole = derive("ann", "secret")
    assert derive("ann", "secret", None, "@m.ex") == f"{whole}@m.ex"
    assert derive("ann", "secret", 20, "@m.ex") == f"{whole[:15]}@m.ex"


def test_a_null_takes_its_rows_key_and_never_meets_a_value() -> None:
    assert material_of(None, (1,)) != material_of(None, (2,))
    assert material_of(None, (1,)) != material_of(1, (1,))
    assert material_of("ann", (1,)) == material_of("ann", (2,))


def test_values_of_different_types_stay_distinct() -> None:
    assert material_of(1, ()) != material_of("1", ())
