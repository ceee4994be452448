"""Under which terms the published sources are given out, as far as their official pages and licence files say."""

from dataclasses import dataclass

from cxrlt_cli.artifacts.data_sources import PHANTOMS, DataSource

_PHYSIONET = "PhysioNet Credentialed Health Data Use Agreement"
_BIMCV = "PadChest Dataset Research Use Agreement (BIMCV)"
_BIMCV_PAGE = "https://bimcv.cipf.es/bimcv-projects/padchest/"


@dataclass(frozen=True)
class Terms:
    """The terms of a source.

    Attributes:
        dataset: its name.
        address: of the official page; empty for a table of the user, and for phantoms.
        summary: what its licence says; empty where the page has to be read.
        agreement: that each user signs; empty where there is none. Models trained on the images fall under it too.
    """

    dataset: str
    address: str = ""
    summary: str = ""
    agreement: str = ""

    @property
    def text(self) -> str:
        """One sentence for a model card."""
        return f"Given out under: {self.agreement}" if self.agreement else self.summary or "See the terms of the source"


#: Kind of a source -> its terms.
TERMS = {
    "mimic-cxr-lt": Terms(
        "MIMIC-CXR-JPG with labels of CXR-LT 2023 or 2024", "https://physionet.org/content/mimic-cxr-jpg/", "", _PHYSIONET
    ),
    "vindr-cxr": Terms("VinDr-CXR", "https://physionet.org/content/vindr-cxr/", "", _PHYSIONET),
    "padchest": Terms("PadChest", _BIMCV_PAGE, "", _BIMCV),
    "padchest-lt": Terms("PadChest with labels of CXR-LT 2026 (PadChest-GR)", _BIMCV_PAGE, "", _BIMCV),
    "chexpert": Terms(
        "CheXpert",
        "https://stanfordmlgroup.github.io/competitions/chexpert/",
        "",
        "Stanford University Dataset Research Use Agreement (CheXpert)",
    ),
    "chestxray14": Terms(
        "NIH ChestX-ray14",
        "https://nihcc.app.box.com/v/ChestXray-NIHCC",
        "No restrictions on use. Link to the download site, cite Wang et al. (CVPR 2017), and name the NIH Clinical Center as "
        "the data provider",
    ),
    "google-nih": Terms(
        "Expert labels of NIH ChestX-ray14 by Google",
        "https://cloud.google.com/healthcare-api/docs/resources/public-datasets/nih-chest",
        "Labels for research and education only. Cite Nabulsi et al. (Scientific Reports 2021) or Majkowska et al. (Radiology "
        "2020), and the NIH as for ChestX-ray14",
    ),
    "table": Terms("A table of the authors"),
    PHANTOMS: Terms(
        "Phantoms of cxrlt demo",
        summary="Drawn by a program, of nobody: no restrictions. Metrics on them do not hold for patients",
    ),
}
_UNKNOWN = Terms("A source that this version does not know", agreement="unknown: a later version of cxrlt cached the source")


def terms_of(source: DataSource) -> Terms:
    """The terms of a source; a kind that this version does not know counts as one under an agreement."""
    terms = TERMS.get(source.kind, _UNKNOWN)
    return Terms(terms.dataset, terms.address, terms.summary, source.agreement) if source.agreement else terms


def agreements_of(sources: list[DataSource]) -> list[str]:
    """The agreements that bind what was made from the sources."""
    return sorted({agreement for source in sources if (agreement := terms_of(source).agreement)})
