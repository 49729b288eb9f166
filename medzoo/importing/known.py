"""Public checkpoints that can be imported by name: where they lie, how they are laid out, what they have seen.

Facts are the publishers' own, or read from their loading code. An entry is ``verified`` once somebody has run it
against the real file and recorded the file's hash (``medzoo import NAME --out ZOO --record``); until then it says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from medzoo.core.atomic import write_json
from medzoo.core.registry import Registry
from medzoo.data.input_spec import InputContract
from medzoo.importing.keras_h5 import EPSILON
from medzoo.importing.spec import ImportSpec
from medzoo.models.golden import GOLDEN
from medzoo.models.variant import Variant
from medzoo.zoo.verify import sha256_of

RECORDED = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class KnownWeights:
    """One public checkpoint.

    Attributes:
        name: What it is imported as.
        title: What it is, in one line.
        file: Its address: ``https://...`` or ``hf://org/repo[@revision]/file``; empty where it cannot be fetched.
        spec: What the file does not say.
        sha256: As published, or as recorded at the first import; empty where neither is.
        member: Which file of an archive.
        steps: How to get a file that cannot be fetched by a program.
    """

    name: str
    title: str
    file: str
    spec: ImportSpec
    sha256: str = ""
    member: str | None = None
    steps: str = ""

    @property
    def verified(self) -> bool:
        """Return whether the entry was run against the real file."""
        return self.name in recorded()

    @property
    def expected_sha256(self) -> str:
        """Return the hash that a file must have: the publisher's, else the recorded one; empty where there is none."""
        return self.sha256 or recorded().get(self.name, {}).get("sha256", "")


def recorded() -> dict[str, dict[str, str]]:
    """Return what was recorded of the real files, by name."""
    return json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}


XRV_LABELS = (
    *("Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema", "Fibrosis", "Effusion"),
    *("Pneumonia", "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture"),
    *("Lung Opacity", "Enlarged Cardiomediastinum"),
)
# The publisher's table of labels leaves these empty for weights that were not trained on them.
_NIH = frozenset(XRV_LABELS[:14])
_CHEXPERT = frozenset(XRV_LABELS) - {
    *("Infiltration", "Emphysema", "Fibrosis", "Pleural_Thickening", "Nodule", "Mass", "Hernia"),
}
NIH14 = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
_XRV = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
_XRV_FILE = "densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
_XRV_PAPER = "Cohen et al., TorchXRayVision, MIDL 2022, arXiv:2111.00595"
# Its values of -1024 to 1024 are (v - 0.5) / (1 / 2048) of values scaled to [0, 1].
_XRV_INPUT = InputContract(size=224, crop="center", mean=(0.5,), std=(1 / 2048,))
_RESEARCH = "research; mind the terms of the data sets behind it"


def _xrv(name: str, start: str, trained: frozenset[str], seen: tuple[str, ...], sha256: str = "") -> KnownWeights:
    return KnownWeights(
        f"xrv-{name}",
        f"TorchXRayVision densenet121-res224-{name}",
        f"{_XRV}{start}-{_XRV_FILE}",
        ImportSpec(
            arch="densenet121",
            input=_XRV_INPUT,
            labels=tuple(label if label in trained else "" for label in XRV_LABELS),
            task="multilabel",
            licence="Apache-2.0",
            use=_RESEARCH,
            origin="https://github.com/mlmed/torchxrayvision",
            seen=seen,
            area="cxr",
            citation=_XRV_PAPER,
        ),
        sha256,
    )


_EVERY = frozenset(XRV_LABELS)
_TORCHXRAYVISION = [
    _xrv(
        "all",
        "nih-pc-chex-mimic_ch-google-openi-kaggle",
        _EVERY,
        ("chestxray14", "padchest", "chexpert", "mimic-cxr", "google-nih-labels", "openi", "rsna-pneumonia"),
        "56524913dd16a906422e8d8b66a7a5c46be1d82eb7ac012d8103776f1aa68899",
    ),
    _xrv("nih", "nih", _NIH, ("chestxray14",)),
    _xrv(
        "pc",
        "pc",
        _NIH | {"Fracture"},
        ("padchest",),
        "a9148ef62ae4e7a31a9bed8cef22811f39681cd61e4390398936efc6280af521",
    ),
    _xrv("chex", "chex", _CHEXPERT, ("chexpert",)),
    _xrv(
        "rsna",
        "kaggle",
        frozenset({"Pneumonia", "Lung Opacity"}),
        ("rsna-pneumonia", "chestxray14"),
        "906a59f48cf09638b745d66848a6c6f9d741368c66244717a81207329d140268",
    ),
    _xrv("mimic_nb", "mimic_nb", _CHEXPERT, ("mimic-cxr",)),
    _xrv(
        "mimic_ch",
        "mimic_ch",
        _CHEXPERT,
        ("mimic-cxr",),
        "23b13a04459684ffa41247d068207a7657b4e1b4dec2b02431f5026bd75b1189",
    ),
    KnownWeights(
        "xrv-resnet50",
        "TorchXRayVision resnet50-res512-all",
        f"{_XRV}pc-nih-rsna-siim-vin-resnet50-test512-e400-state.pt",
        ImportSpec(
            arch="resnet50",
            input=replace(_XRV_INPUT, size=512),
            labels=tuple("" if name in ("Lung Lesion", "Enlarged Cardiomediastinum") else name for name in XRV_LABELS),
            task="multilabel",
            licence="Apache-2.0",
            use=_RESEARCH,
            origin="https://github.com/mlmed/torchxrayvision",
            seen=("padchest", "chestxray14", "rsna-pneumonia", "siim-acr", "vindr-cxr"),
            area="cxr",
            citation=_XRV_PAPER,
        ),
    ),
]

_NIH_SEEN = ("chestxray14",)
_CHEXNET = ImportSpec(
    arch="densenet121",
    input=InputContract(crop="center"),
    labels=NIH14,
    task="multilabel",
    use="no licence file was found: ask its author before anything but private research",
    seen=_NIH_SEEN,
    area="cxr",
    citation="Rajpurkar et al., CheXNet, arXiv:1711.05225 (the method; these weights are a reproduction)",
    notes=("Trained and tested on random splits of images, so that patients stand on both sides.",),
)
_MAE = replace(
    _CHEXNET,
    licence="Apache-2.0",
    use=_RESEARCH,
    origin="https://github.com/lambert-x/medical_mae",
    citation="Xiao et al., Delving into Masked Autoencoders for Multi-Label Thorax Disease Classification, WACV 2023",
    input=InputContract(mean=(0.5056,) * 3, std=(0.252,) * 3),
    notes=(),
)
_DRIVE = "open {} in a browser, download the file, then: medzoo import FILE --like {} --out ZOO"
_CHEST = [
    KnownWeights(
        "chexnet-arnoweng",
        "CheXNet, reproduced by arnoweng",
        "https://github.com/arnoweng/CheXNet/raw/master/model.pth.tar",
        replace(_CHEXNET, origin="https://github.com/arnoweng/CheXNet"),
    ),
    KnownWeights(
        "chexnet-zoogzog",
        "CheXNet, reproduced by zoogzog (mean AUROC .8508, by its author)",
        "https://github.com/zoogzog/chexnet/raw/master/models/m-25012018-123527.pth.tar",
        replace(_CHEXNET, origin="https://github.com/zoogzog/chexnet"),
    ),
    KnownWeights(
        "chexnet-jrzech",
        "CheXNet, reproduced by jrzech",
        "https://github.com/jrzech/reproduce-chexnet/raw/master/pretrained/checkpoint",
        replace(
            _CHEXNET,
            origin="https://github.com/jrzech/reproduce-chexnet",
            use="its repository has a licence file: read it first",
        ),
    ),
    KnownWeights(
        "medical-mae",
        "medical_mae: masked autoencoder, then fine-tuned on ChestX-ray14 (copy by MapleF)",
        "hf://MapleF/eva_x/densenet121_medical_mae_pt_cxr14_ft.pth",
        replace(_MAE, seen=("chestxray14", "chexpert", "mimic-cxr")),
        "2a657fb291f8d463ad62fc02702a02890d3805dddd916ed51e28ec9e6966e1b1",
    ),
    KnownWeights(
        "medical-mae-mocov2",
        "medical_mae: MoCo v2, then fine-tuned on ChestX-ray14 (copy by MapleF)",
        "hf://MapleF/eva_x/densenet121_mocov2_pt_cxr14_ft.pth",
        replace(_MAE, seen=("chestxray14", "chexpert", "mimic-cxr")),
    ),
    KnownWeights(
        "taher-imagenet-chestxray14",
        "ResNet-50 from ImageNet, trained on ChestX-ray14 (Hosseinzadeh Taher et al.)",
        "https://zenodo.org/records/5205234/files/ImageNet_chestxray14.pth.tar",
        ImportSpec(
            arch="resnet50",
            labels=NIH14,
            task="multilabel",
            licence="ASU non-commercial",
            use="non-commercial research alone; patents are pending",
            origin="https://zenodo.org/records/5205234",
            seen=_NIH_SEEN,
            area="cxr",
            citation="Hosseinzadeh Taher et al., A Systematic Benchmarking Analysis of Transfer Learning, DART 2021",
        ),
    ),
]

_PLAIN = Variant(final_activation=False)
_TISSUE = ImportSpec(arch="densenet121", variant=_PLAIN, area="hwsi")
_TIA = replace(
    _TISSUE,
    input=InputContract(mean=(0.0,) * 3, std=(1.0,) * 3),
    task="multiclass",
    origin="https://huggingface.co/TIACentre/TIAToolbox_pretrained_weights",
    citation="Pocock et al., TIAToolbox, Communications Medicine 2022",
)
_HISTOLOGY = [
    KnownWeights(
        "kimianet",
        "KimiaNet: tissue of 30 kinds of TCGA",
        "https://github.com/KimiaLabMayo/KimiaNet/raw/refs/heads/main/KimiaNet_Weights/weights/KimiaNetPyTorchWeights.pth",
        replace(
            _TISSUE,
            input=InputContract(size=1000),
            labels=tuple(f"TCGA kind {number + 1}" for number in range(30)),
            task="multiclass",
            use="its end-user agreement (agreement.pdf beside the weights) binds: read it first",
            origin="https://github.com/KimiaLabMayo/KimiaNet",
            seen=("tcga",),
            citation="Riasatian et al., Fine-Tuning and Training of DenseNet for Histopathology, MedIA 2021",
            notes=("Trained on tiles of 1000 x 1000 pixels at 20x; its 30 outputs are not named beside it.",),
        ),
    ),
    KnownWeights(
        "tiatoolbox-kather100k",
        "TIAToolbox: colorectal tissue of Kather 100K",
        "hf://TIACentre/TIAToolbox_pretrained_weights/densenet121-kather100k.pth",
        replace(
            _TIA,
            labels=("BACK", "NORM", "DEB", "TUM", "ADI", "MUC", "MUS", "STR", "LYM"),
            licence="CC-BY-4.0",
            use="as the data set's: with attribution",
            seen=("kather-100k",),
        ),
    ),
    KnownWeights(
        "tiatoolbox-pcam",
        "TIAToolbox: lymph nodes of PatchCamelyon",
        "hf://TIACentre/TIAToolbox_pretrained_weights/densenet121-pcam.pth",
        replace(
            _TIA,
            input=InputContract(size=96, mean=(0.0,) * 3, std=(1.0,) * 3),
            labels=("no metastasis", "metastasis"),
            task="binary",
            licence="CC0-1.0",
            use="any",
            seen=("pcam", "camelyon16"),
        ),
    ),
    KnownWeights(
        "mtdp",
        "mtdp: 22 tissue tasks at once (Mormont et al.)",
        "https://dox.uliege.be/index.php/s/G72InP4xmJvOrVp/download",
        replace(
            _TISSUE,
            use="no licence was found: ask its authors",
            origin="https://github.com/waliens/multitask-dipath",
            citation="Mormont et al., Multi-Task Pre-Training of Deep Neural Networks for Digital Pathology, JBHI 2020",
        ),
    ),
]

_RADIOLOGY = [
    KnownWeights(
        "radimagenet-keras",
        "RadImageNet DenseNet-121: CT, MR and ultrasound (Keras)",
        "",
        ImportSpec(
            arch="densenet121",
            input=InputContract(mean=(0.5,) * 3, std=(0.5,) * 3),
            variant=Variant(norm_eps=EPSILON),
            use="CC BY 4.0 by its card; read the data set's agreement",
            origin="https://github.com/BMEII-AI/RadImageNet",
            seen=("radimagenet",),
            area="radiology",
            citation="Mei et al., RadImageNet, Radiology: Artificial Intelligence 2022",
            notes=("How images were normalised is disputed (issues 18 and 20 of its repository): this takes -1 to 1.",),
        ),
        steps=_DRIVE.format("https://drive.google.com/file/d/1xZKo4n5m6iSHPFNUAyfpvuANrRqBB6eH", "radimagenet-keras"),
    ),
    KnownWeights(
        "radimagenet",
        "RadImageNet DenseNet-121: CT, MR and ultrasound (copy by Lab-Rasool)",
        "hf://Lab-Rasool/RadImageNet/DenseNet121.pt",
        ImportSpec(
            arch="densenet121",
            input=InputContract(mean=(0.5,) * 3, std=(0.5,) * 3),
            use="CC BY 4.0 by its card; read the data set's agreement",
            origin="https://github.com/BMEII-AI/RadImageNet",
            seen=("radimagenet",),
            area="radiology",
            citation="Mei et al., RadImageNet, Radiology: Artificial Intelligence 2022",
            notes=(
                "How images were normalised is disputed (issues 18 and 20 of its repository): this takes -1 to 1.",
                "Of the same copy's ResNet-50 it is said that it is not the official one.",
            ),
        ),
    ),
]

_EYES = ("aptos2019", "eyepacs", "idrid", "ddr")
_FUNDUS = [
    KnownWeights(
        "fundus-dr-grading",
        "FundusDRGrading: retinopathy grade as one number (ClementP)",
        "hf://ClementP/FundusDRGrading-densenet121.tv_in1k/model.safetensors",
        ImportSpec(
            arch="densenet121",
            input=InputContract(size=512),
            labels=("grade 0 to 4",),
            task="regression",
            licence="MIT",
            use=_RESEARCH,
            origin="https://huggingface.co/ClementP/FundusDRGrading-densenet121.tv_in1k",
            seen=_EYES,
            area="efi",
            notes=("It was trained at 512 or 1024 pixels; its card does not say which.",),
        ),
    ),
    KnownWeights(
        "retfound-green",
        "RETFound-Green: ViT-S/14 with registers, self-supervised on fundus photographs",
        "https://github.com/justinengelmann/RETFound_Green/releases/download/v0.1/retfoundgreen_statedict.pth",
        ImportSpec(
            arch="vit_small_patch14_reg4_dinov2",
            model_args={"img_size": 392, "global_pool": "avg"},
            input=InputContract(size=392, crop="squash", mean=(0.5,) * 3, std=(0.5,) * 3),
            use=_RESEARCH + "; read the licence in its repository",
            origin="https://github.com/justinengelmann/RETFound_Green",
            notes=("Trained on 75,000 public fundus photographs; its paper lists the sets.",),
            area="efi",
            citation="Engelmann and Bernabeu, RETFound-Green, Nature Communications 16:6862, 2025",
        ),
        "431de5dbc1bebbb32f60e2c0bcf8daa4f8bcbf06f7cb1e1dc97ec589713942e1",
    ),
    KnownWeights(
        "retfound",
        "RETFound (ViT-L/16): gated, non-commercial",
        "",
        ImportSpec(
            arch="vit_large_patch16_224",
            licence="CC-BY-NC-4.0",
            use="non-commercial research, after asking for access",
            area="efi",
            seen=("moorfields",),
        ),
        "e1e4f66a1b792eeb6e2efaf158f33be35c8255f36b3d17ed67cd5129da246485",
        steps="ask for access at https://huggingface.co/YukunZhou/RETFound_mae_natureCFP, download the file, then: "
        "medzoo import FILE --like retfound --out ZOO",
    ),
]

KNOWN: Registry[KnownWeights] = Registry(
    "known weights", [*_TORCHXRAYVISION, *_CHEST, *_HISTOLOGY, *_RADIOLOGY, *_FUNDUS]
)


def list_known() -> list[str]:
    """Return the names of the public checkpoints that ``import_weights`` knows.

    Example:
        >>> "xrv-all" in list_known()
        True
    """
    return list(KNOWN)


def record_real_file(name: str, bundle: Path, sha256: str) -> None:
    """Record what a known entry's real file is, so that it counts as verified from now on.

    Args:
        name: The entry.
        bundle: What it was imported as; its golden vector is recorded by its hash.
        sha256: Of the original file.

    Raises:
        UnknownNameError: There is no such entry.
    """
    entry = KNOWN[name]
    golden = sha256_of(bundle / GOLDEN)
    write_json(RECORDED, {**recorded(), entry.name: {"sha256": sha256, "golden": golden}})
