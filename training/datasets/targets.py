"""The target data sets of the study."""

from __future__ import annotations

from functools import partial

from training.datasets.entry import COLOUR, GREY, NLM_CITATION, NLM_PAGE, DataSet
from training.readers import classfolders, deepdrid, messidor, nlm_tb

TARGET_SETS = [
    DataSet(
        name="shenzhen",
        title="NLM Shenzhen (China) chest X-ray set",
        folders=("ChinaSet_AllFiles", "shenzhen"),
        area="cxr",
        task="binary",
        classes=nlm_tb.CLASSES,
        total=662,
        counts=(326, 336),
        geometry=GREY,
        read=partial(nlm_tb.read, name="shenzhen"),
        terms="public; cite the paper",
        citation=NLM_CITATION,
        homepage=NLM_PAGE,
    ),
    DataSet(
        name="covid19_radiography",
        title="COVID-19 Radiography Database",
        folders=("COVID-19_Radiography_Dataset", "covid19_radiography", "COVID-19 Radiography Database"),
        area="cxr",
        task="multiclass",
        classes=tuple(classfolders.COVID_FOLDERS.values()),
        total=21_165,
        counts=(3616, 6012, 10192, 1345),
        geometry=GREY,
        read=partial(
            classfolders.read,
            name="covid19_radiography",
            folders=classfolders.COVID_FOLDERS,
            task="multiclass",
        ),
        terms="mixed sources; research use",
        citation="Chowdhury et al., IEEE Access 8, 2020, doi:10.1109/ACCESS.2020.3010287",
        homepage="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    ),
    DataSet(
        name="kather2016",
        title="Kather texture 2016, colorectal tiles",
        folders=("Kather_texture_2016_image_tiles_5000",),
        area="hwsi",
        task="multiclass",
        classes=classfolders.KATHER_CLASSES,
        total=5_000,
        counts=(625,) * 8,
        geometry=COLOUR,
        read=partial(
            classfolders.read,
            name="kather2016",
            folders=classfolders.KATHER_FOLDERS,
            task="multiclass",
            patient=classfolders.KATHER_SLIDE,
        ),
        terms="CC BY 4.0",
        citation="Kather et al., Sci. Rep. 6, 27988, 2016, doi:10.1038/srep27988",
        homepage="https://zenodo.org/records/53169",
        may_publish=True,
    ),
    DataSet(
        name="messidor",
        title="Messidor",
        folders=("Messidor", "messidor"),
        area="efi",
        task="ordinal",
        classes=messidor.CLASSES,
        # 1,200 published, 13 of them second copies by the publisher's errata. The paper's and the publisher's
        # counts per grade are of the 1,200; nobody publishes those of the rest.
        total=1_187,
        counts=None,
        geometry=COLOUR,
        read=messidor.read,
        terms="research and education, not to be passed on; request form",
        citation="Decenciere et al., Image Anal. Stereol. 33(3), 2014, doi:10.5566/ias.1155",
        homepage="https://www.adcis.net/en/third-party/messidor/",
    ),
    DataSet(
        name="deepdrid",
        title="DeepDRiD, regular fundus images",
        folders=("DeepDRiD", "DeepDRiD-master", "deepdrid"),
        area="efi",
        task="ordinal",
        classes=deepdrid.CLASSES,
        total=1_600,
        counts=(714, 186, 326, 282, 92),
        geometry=COLOUR,
        read=deepdrid.read,
        terms="no licence stated in its repository; cite the paper",
        citation="Liu et al., Patterns 3(6), 2022, doi:10.1016/j.patter.2022.100512",
        homepage="https://github.com/deepdrdoc/DeepDRiD",
    ),
]
