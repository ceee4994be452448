"""Label texts."""

from pathlib import Path

import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.spaces import all_classes, canonical
from cxrlt_cli.text.label_texts import BUILT_IN, read_label_texts, texts_for


def test_every_built_in_class_has_a_prompt_and_a_sentence() -> None:
    texts = texts_for(all_classes(), read_label_texts(BUILT_IN), BUILT_IN)
    assert [[canonical(text.name) for text in own] for own in texts] == [[canonical(name)] for name in all_classes()]
    assert all(len(own[0].description) > 40 and own[0].description.endswith(".") for own in texts)
    first = texts[0][0]
    assert first.text("both") == f"{first.prompt}. {first.description}"
    assert first.text("prompt") == "atelectasis"


def test_a_users_file_and_names_that_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("class,prompt,description\nPleural Effusion,water,Water in the chest.\n", encoding="utf-8-sig")
    assert texts_for(["Effusion"], read_label_texts(path), path)[0][0].prompt == "water"
    with pytest.raises(UserError, match="no text for Hernia") as caught:
        texts_for(["Effusion", "Hernia"], read_label_texts(path), path)
    assert "--texts" in caught.value.hint


def test_several_texts_of_a_class_and_no_descriptions(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("class,prompt\nEffusion,water\nMass,mass\nEffusion,fluid\n")
    texts = texts_for(["Mass", "Pleural Effusion"], read_label_texts(path), path)
    assert [[text.text("both") for text in own] for own in texts] == [["mass"], ["water", "fluid"]]


def test_a_class_without_a_built_in_text_is_encoded_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    texts = texts_for(["Rib_notch", "Effusion"], read_label_texts(BUILT_IN), BUILT_IN)
    assert [texts[0][0].text(use) for use in ("both", "prompt", "description")] == ["Rib notch"] * 3
    assert texts[1][0].prompt == "pleural effusion"
    assert "1 classes have no built-in text, their names are encoded: Rib_notch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no column class, prompt"),
        (b"class,description\nMass,mass\n", "no column prompt"),
        (b"class,prompt,description\n", "has no rows"),
        (b"class,prompt,description\nMass,mass,\n", "line 2: an empty cell"),
        (b"class,prompt,description\nMass,mass\n", "row 2: 2 cells where the header has 3"),
        (b"class,prompt,description\nMass,m,d\nMass,m,d\n", "lists the same text of Mass twice"),
        (b"class,prompt,description\nMass,\xff\xfe,d\n", "cannot be read"),
        (b'class,prompt,description\nMass,"m,d\n', "row 2: a quote that is not closed"),
    ],
)
def test_bad_files(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_label_texts(tmp_path / "texts.csv")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv cannot be read"):
        read_label_texts(tmp_path / "none.csv")
