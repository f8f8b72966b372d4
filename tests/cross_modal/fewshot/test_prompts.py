from pathlib import Path

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot import prompts
from cross_modal.fewshot.prompts import class_text_embeddings, named_templates, prompt, read_templates


def letters(sentences):
    """Counts of letters: an embedding that tells which sentences it was given."""
    return np.array([[sentence.count(letter) + 0.1 for letter in "abcdefgh_ "] for sentence in sentences])


@pytest.mark.parametrize("templates", [["{}", "a bad photo of a {}.", "{} face"], "openai_imagenet"])
def test_it_is_the_mean_of_prompts_of_length_one(templates):
    names = ["bad_dog", "cage", "deaf bee"]
    several = named_templates(templates) if isinstance(templates, str) else templates
    found = class_text_embeddings(names, templates, letters)
    for name, row in zip(names, found, strict=True):
        spoken = name.replace("_", " ")
        sentences = [each(spoken) if callable(each) else each.replace("{}", spoken) for each in several]
        each = letters(sentences)
        mean = (each / np.linalg.norm(each, axis=1, keepdims=True)).mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-9)


def test_templates_of_open_clip_come_by_name():
    assert len(named_templates("openai_imagenet")) == 80
    assert len(named_templates("simple_imagenet")) == 7
    assert prompt(named_templates("openai_imagenet")[0], "polar_bear") == "a bad photo of a polar bear."


def test_one_template_may_stand_alone():
    np.testing.assert_array_equal(
        class_text_embeddings(["cage"], "a {}", letters), class_text_embeddings(["cage"], ["a {}"], letters)
    )
    np.testing.assert_array_equal(
        class_text_embeddings(["cage"], "plain", letters), class_text_embeddings(["cage"], ["{}"], letters)
    )


def test_braces_in_a_name_stay_as_they_are():
    assert prompt("a {}", "set {0}") == "a set {0}"


def test_many_classes_are_embedded_in_parts(monkeypatch):
    names, calls = [f"{'abc'[index % 3]} {index}" for index in range(10)], []

    def counting(sentences):
        calls.append(len(sentences))
        return letters(sentences)

    whole = class_text_embeddings(names, ["{}", "a {}"], letters)
    monkeypatch.setattr(prompts, "PROMPTS", 6)
    np.testing.assert_array_equal(class_text_embeddings(names, ["{}", "a {}"], counting), whole)
    assert calls == [6, 6, 6, 2]


def test_halves_are_averaged_as_singles():
    found = class_text_embeddings(["cage"], "plain", lambda sentences: letters(sentences).astype(np.float16))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("names", "templates", "embed", "message"),
    [
        ([], "plain", letters, "expected one class name or more, found none"),
        (["a"], [], letters, "templates: expected one or more, found none"),
        (["a"], "openai", letters, "expected plain, openai_imagenet, .*found 'openai'"),
        (["a"], ["a photo"], letters, "expected one {} where the name goes, found 'a photo'"),
        (["a"], ["{} {}"], letters, "expected one {}"),
        (["a"], [len], letters, "expected a function that gives text, found int"),
        (["a"], "plain", lambda sentences: np.zeros((2, 3)), r"expected floats \(1, D\), one row a prompt"),
        (["a"], "plain", lambda sentences: np.full((1, 3), np.nan), "expected finite embeddings"),
    ],
)
def test_bad_input_is_one_sentence(names, templates, embed, message):
    with pytest.raises(CrossModalError, match=message) as raised:
        class_text_embeddings(names, templates, embed)
    assert "\n" not in str(raised.value)


def test_templates_of_a_file_are_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# mine\na drawing of {}\n\n{} by hand\n", encoding="utf-8")
    assert read_templates(str(tmp_path / "mine.txt")) == ("a drawing of {}", "{} by hand")
    assert read_templates("plain") == ("{}",)


@pytest.mark.parametrize(("content", "message"), [("\n# none\n", "found none"), ("a drawing\n", "expected one {}")])
def test_a_file_without_usable_templates_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "mine.txt").write_text(content, encoding="utf-8")
    with pytest.raises(CrossModalError, match=message):
        read_templates(str(tmp_path / "mine.txt"))


def test_magnitudes_stay_where_distances_are_euclidean():
    found = class_text_embeddings(["bad", "cage"], ["{}", "a {}"], letters, normalise=False)
    expected = [letters([name, f"a {name}"]).mean(0) for name in ("bad", "cage")]
    np.testing.assert_allclose(found, expected)
