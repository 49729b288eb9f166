"""Where the study's data sets are published: files that may be fetched freely, and steps for those that may not.

Every URL, size and digest has its public source beside it. What is not published is ``None``: such a file is verified
by its server's length and the checksums inside its archive. Terms, citations and folders are in
``training.datasets.DATASETS``.
"""

from __future__ import annotations

from dataclasses import dataclass

from medzoo.core.download import Remote
from medzoo.core.registry import Registry


@dataclass(frozen=True)
class Item:
    """One file of a data set.

    Attributes:
        name: Its file name; an archive's tells the format.
        remote: Where it is, and what is published about it.
        into: For an archive, the folder below the data set's own that it is unpacked to; empty for
            the data set's folder itself, which it then fills alone.
        unwrap: For an archive, whether the folder that it wraps everything in is left out.
    """

    name: str
    remote: Remote
    into: str = ""
    unwrap: bool = False


@dataclass(frozen=True)
class Download:
    """How to get one data set.

    Attributes:
        name: A name in ``training.datasets.DATASETS``.
        items: The files, where they may be fetched without an account or a form; else empty.
        steps: What to do by hand otherwise; ``{folder}`` is the folder it has to become.
    """

    name: str
    items: tuple[Item, ...] = ()
    steps: tuple[str, ...] = ()


# URLs: NIH's own batch_download_zips.py (nihcc.app.box.com/v/ChestXray-NIHCC/file/371647823217), in public code such as
# apache/incubator-teaclave examples/tvm/CheXNet-Keras/data/download.py. MD5: question 7 of NIH's own FAQ_CHESTXRAY.pdf
# (file 249502714403 there), in public code such as sunlabuiuc/PyHealth pyhealth/datasets/chestxray14.py. Sizes:
# the totals that nihcc.box.com answers ranged requests with, the same in six public repositories that record them.
_NIH_SOURCE = "MD5: NIH's FAQ_CHESTXRAY.pdf; size: what nihcc.box.com states"
_NIH_ARCHIVES = (
    ("vfk49d74nhbxq3nqjg0900w5nvkorp5c", 2_008_470_987, "fe8ed0a6961412fddcbb3603c11b3698"),
    ("i28rlmbvmfjbl8p2n3ril0pptcmcu9d1", 3_952_623_504, "ab07a2d7cbe6f65ddd97b4ed7bde10bf"),
    ("f1t00wrtdk94satdfb9olcolqx20z2jp", 3_929_234_850, "2301d03bde4c246388bad3876965d574"),
    ("0aowwzs5lhjrceb3qp67ahp0rd1l1etg", 3_838_903_983, "9f1b7f5aae01b13f4bc8e2c44a4b8ef6"),
    ("v5e3goj22zr6h8tzualxfsqlqaygfbsn", 3_935_496_531, "1861f3cd0ef7734df8104f2b0309023b"),
    ("asi7ikud9jwnkrnkj99jnpfkjdes7l6l", 3_986_301_172, "456b53a8b351afd92a35bc41444c58c8"),
    ("jn1b4mw4n6lnh74ovmcjb8y48h8xj07n", 4_016_328_426, "1075121ea20a137b87f290d6a4a5965e"),
    ("tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j", 4_018_347_353, "b61f34cec3aa69f295fbb593cbd9d443"),
    ("upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj", 4_111_327_929, "442a3caa61ae9b64e61c561294d1e183"),
    ("l6nilvfa9cg3s28tqv1qc1olm3gnz54p", 4_181_556_296, "09ec81c4c31e32858ad8cf965c494b74"),
    ("hhq8fkdgvcari67vfhs7ppg2w6ni4jze", 4_187_084_020, "499aefc67207a5a97692424cf5dbeed5"),
    ("ioqwiy20ihqwyr8pf4c24eazhh281pbu", 2_914_187_733, "dc9fda1757c2de0032b63347a7d2895c"),
)
# File ids: the pages nihcc.app.box.com/v/ChestXray-NIHCC/file/<id>, named in public code such as PyHealth's above.
# Sizes and SHA-256: recorded from the official Box release in a public repository, and recomputed for this table
# from complete copies of the lists (for the table of labels, from a mirror whose one other header was put right).
_NIH_LISTS_SOURCE = "size and SHA-256 of the file in NIH's Box, recomputed from complete copies"
_NIH_LISTS = (
    (
        "Data_Entry_2017_v2020.csv",
        "219760887468",
        9_003_496,
        "c69a6daca3549af707ca9cacbdf9f9a7b6a9188e8c61157df653520bb72d8eb1",
    ),
    (
        "train_val_list.txt",
        "256056636701",
        1_470_907,
        "61fbe896321c1c1c8b75f3e4f3a08e4fef6486d95ef8a667c31d4d60dca6cb81",
    ),
    (
        "test_list.txt",
        "256055473534",
        435_131,
        "38ca5ef7f756092946f57c1a59faca882ed589a1ab1f72590b45dc06c6d5e1cc",
    ),
)
_NIH_BOX = "https://nihcc.app.box.com/index.php?rm=box_download_shared_file&vanity_name=ChestXray-NIHCC&file_id=f_"

_CHESTXRAY14 = tuple(
    Item(name, Remote(_NIH_BOX + file, _NIH_LISTS_SOURCE, size, f"sha256:{digest}"))
    for name, file, size, digest in _NIH_LISTS
) + tuple(
    Item(
        f"images_{number:03}.tar.gz",
        Remote(f"https://nihcc.box.com/shared/static/{link}.gz", _NIH_SOURCE, size, f"md5:{digest}"),
        into=f"images_{number:03}",
    )
    for number, (link, size, digest) in enumerate(_NIH_ARCHIVES, 1)
)

DOWNLOADS: Registry[Download] = Registry(
    "data set that can be downloaded",
    [
        Download("chestxray14", _CHESTXRAY14),
        Download(
            "breakhis",
            (
                Item(
                    "BreaKHis_v1.tar.gz",
                    # kaiko-ai/eva src/eva/vision/data/datasets/classification/breakhis.py; no size or digest is there.
                    Remote("http://www.inf.ufpr.br/vri/databases/BreaKHis_v1.tar.gz", "the publisher's server"),
                    unwrap=True,
                ),
            ),
        ),
        Download(
            "eyepacs",
            steps=(
                "Make an account at https://www.kaggle.com and accept the rules at"
                " https://www.kaggle.com/c/diabetic-retinopathy-detection/rules",
                "Fetch the files of its Data page, or: kaggle competitions download -c diabetic-retinopathy-detection",
                "Join and unpack the parts: cat train.zip.* > train.zip && unzip train.zip; the same for test.zip.*;"
                " unzip trainLabels.csv.zip",
                # TFDS tensorflow_datasets/image_classification/diabetic_retinopathy_detection.py names this file.
                "Fetch the grades of the test images, given out after the competition:"
                " https://storage.googleapis.com/kaggle-forum-message-attachments/90528/2877/retinopathy_solution.csv",
                "Put train/, test/, trainLabels.csv and retinopathy_solution.csv into {folder}",
            ),
        ),
        Download(
            "shenzhen",
            (
                Item(
                    "ChinaSet_AllFiles.zip",
                    # README of UOADataScience/auckland-ai-meetup-x-triage; no size or digest is published.
                    Remote("https://openi.nlm.nih.gov/imgs/collections/ChinaSet_AllFiles.zip", "NLM's own server"),
                    unwrap=True,
                ),
            ),
        ),
        Download(
            "covid19_radiography",
            steps=(
                "Make an account at https://www.kaggle.com",
                "Fetch https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database with the Download"
                " button, or: kaggle datasets download -d tawsifurrahman/covid19-radiography-database",
                "Unpack it, and put its folder COVID-19_Radiography_Dataset (COVID/, Lung_Opacity/, Normal/,"
                " Viral Pneumonia/) at {folder}",
            ),
        ),
        Download(
            "kather2016",
            (
                Item(
                    "Kather_texture_2016_image_tiles_5000.zip",
                    Remote(
                        "https://zenodo.org/records/53169/files/Kather_texture_2016_image_tiles_5000.zip",
                        "tensorflow/datasets, url_checksums/colorectal_histology.txt",
                        258_098_431,
                        "sha256:936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32",
                    ),
                    unwrap=True,
                ),
            ),
        ),
        Download(
            "messidor",
            # LIV4D/MAPLES-DR docs/source/welcome/messidor.rst lists the same steps.
            steps=(
                "Fill in the form at https://www.adcis.net/en/third-party/messidor/, accept the licence and confirm"
                " your e-mail address",
                "Fetch the twelve archives Base11.zip to Base34.zip and the twelve sheets Annotation_Base11.xls to"
                " Annotation_Base34.xls",
                "Unpack each archive to a folder of its name, Base11 to Base34, with its sheet beside the images, and"
                " put the twelve folders into {folder}",
                "Do not pass the images on: the licence forbids it",
            ),
        ),
        Download(
            "deepdrid",
            (
                Item(
                    "DeepDRiD-v1.1.zip",
                    Remote(
                        "https://zenodo.org/api/records/8248825/files/deepdrdoc/DeepDRiD-v1.1.zip/content",
                        "Zenodo record 8248825, quoted in inevident/RetinaReady data/README.md",
                        1_373_472_897,
                        "md5:3379e2fd7a2dd398545a67148420a5d3",
                    ),
                    unwrap=True,
                ),
            ),
        ),
    ],
)
