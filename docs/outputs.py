"""Make the printed output in the documentation anew: run the commands of the pages, on real images.

``python docs/outputs.py DATA IMAGENET.safetensors [PAGE]...`` runs, page after page in one folder, each block below a
line ``<!-- run -->`` and replaces the ``text`` block that follows by what it printed (``<!-- run, 2 lines -->``: by its
first lines). DATA holds the folders named in ``samples``. It takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
# In this order: a page uses the models of those before it.
PAGES = ["start", "finetune/data", "finetune/first-model", "finetune/stress", "finetune/evaluate", "finetune/labels"]
PAGES += ["finetune/strategies", "weights/index", "weights/import"]
BLOCK = re.compile(
    r"<!-- run(?:, (?P<lines>\d+) lines?)? -->\n\n?```(?P<language>\w*)\n(?P<code>.*?)^```\n"
    r"(?P<between>(?:(?!<!-- run|^```).)*?)(?P<output>^```text\n.*?^```\n|\Z|(?=<!-- run|^```))",
    re.MULTILINE | re.DOTALL,
)


def samples(data: Path, imagenet: Path, work: Path) -> None:
    """Lay out the images as the pages name them, and make the zoo that they use."""
    import timm
    import torch
    from safetensors.torch import load_file

    for name, there in {
        "tiles": "CRC-VAL-HE-7K",
        "xrays": "shenzhen/CXR_png",
        "covid": "covid19_radiography",
        "eyes": "eyepacs",
        "montgomery": "montgomery/CXR_png",
    }.items():
        shutil.copytree(data / there, work / name)
    (work / "new_xrays").mkdir()
    rows = ["path,label"]
    for number, image in enumerate(sorted((work / "montgomery").glob("*.png"))):
        rows.append(f"montgomery/{image.name},{'tuberculosis' if image.stem.endswith('_1') else 'normal'}")
        if number % 20 == 0:
            shutil.copyfile(image, work / "new_xrays" / image.name)
    (work / "other_hospital.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (work / "training").symlink_to(ROOT / "training")
    shutil.copytree(ROOT / "preview", work / "zoo")
    run("", f"python -m training publish densenet121_in --out zoo --imagenet-weights {imagenet}", work)
    # Two checkpoints as training scripts leave them: of a parallel model, and a whole module with one input channel.
    state = load_file(imagenet)
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 90, "state_dict": wrapped, "optimizer": {}}, work / "lab_model.pth.tar")
    grey = timm.create_model("densenet121", in_chans=1, num_classes=18)
    state["features.conv0.weight"] = state["features.conv0.weight"].sum(1, keepdim=True)
    grey.load_state_dict(
        {**state, **{name: grey.state_dict()[name] for name in ("classifier.weight", "classifier.bias")}}
    )
    torch.save(grey, work / "grey.pt")


def run(language: str, code: str, work: Path, zoo: str = "zoo") -> str:
    """Run a block and return all it printed, as a terminal shows it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "MEDZOO_ZOO": zoo, "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", code] if language == "python" else ["bash", "-e", "-c", code]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(words, cwd=work, env={**os.environ, **ours}, text=True, **streams)
    if done.returncode:
        sys.exit(f"{code}\nfailed:\n{done.stdout}")
    return done.stdout


def renew(page: Path, work: Path) -> None:
    """Run a page's blocks and write what they printed."""

    def replaced(found: re.Match[str]) -> str:
        sys.stdout.write(f"{page.name}: {found['code']}")
        sys.stdout.flush()
        # The first page uses the previews of a checkout, without a zoo.
        printed = run(found["language"], found["code"], work, "" if page.stem == "start" else "zoo")
        lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
        kept = lines[: int(found["lines"] or len(lines))]
        text = found[0][: found.start("output") - found.start()]
        if not found["output"]:
            return text
        return text + "```text\n" + "\n".join([*kept, *(["..."] if len(kept) < len(lines) else [])]) + "\n```\n"

    page.write_text(BLOCK.sub(replaced, page.read_text("utf-8")), encoding="utf-8")


def picture(report: Path, file: Path) -> None:
    """Take a picture of the head of a report in a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 720}, device_scale_factor=1.5)
        page.goto(report.as_uri())
        page.screenshot(path=file)
        browser.close()


def main(data: str, imagenet: str, *pages: str) -> None:
    """Make the output of all pages, or of those named and whatever they need."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        samples(Path(data), Path(imagenet), work)
        for name in pages or PAGES:
            renew(DOCS / f"{name}.md", work)
        if (work / "xray_model").is_dir():
            picture(work / "xray_model" / "report.html", DOCS / "images" / "report.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
