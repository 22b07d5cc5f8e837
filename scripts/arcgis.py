"""Keep the help of the ArcGIS toolbox current, and build a wheel that Pro lists as a toolbox.

``python scripts/arcgis.py help [--check]`` writes ``toolbox/arcgis/*.pyt.xml`` from the docstrings;
``python scripts/arcgis.py wheel [FOLDER]`` builds ``rs_gen_arcgis-VERSION-py3-none-any.whl``. The
wheel holds the toolbox alone and depends on nothing, so that it leaves Pro's environment as it is:
it starts rs-gen where that is installed. Standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "toolbox" / "arcgis"
PACKAGE = "rs_gen_arcgis"
_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same sources give the same wheel
_COPIES = {  # what the package finds in the repository, and brings along in the wheel
    "runner.py": ROOT / "toolbox" / "runner.py",
    "listing.py": ROOT / "rs_gen" / "listing.py",
    "parameters.py": ROOT / "rs_gen" / "parameters.py",
    "tools.py": ROOT / "rs_gen" / "tools.py",
}


def pages() -> dict[str, str]:
    """Help file to its text."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    from rs_gen_arcgis.help import pages as made

    return made()


def write_help(check: bool = False) -> list[str]:
    """Write the help, or only ``check`` it; the names of files that were not current."""
    made = pages()
    stale = []
    for old in FOLDER.glob("*.pyt.xml"):
        if old.name not in made:
            stale.append(old.name)
            if not check:
                old.unlink()
    for name, text in made.items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8", newline="\n")
    return stale


def version() -> str:
    """Of rs_gen."""
    text = (ROOT / "rs_gen" / "__init__.py").read_text(encoding="utf-8")
    return text.split('__version__ = "')[1].split('"')[0]


def contents() -> dict[str, bytes]:
    """Path within the wheel to what is there, but for its own record."""
    held = {f"{PACKAGE}/{p.name}": p.read_bytes() for p in sorted((FOLDER / PACKAGE).glob("*.py"))}
    held |= {f"{PACKAGE}/{name}": path.read_bytes() for name, path in _COPIES.items()}
    # listing.py takes the version from the package around it.
    own, mark = f'\n__version__ = "{version()}"\n'.encode(), b"\n_HERE = "
    held[f"{PACKAGE}/__init__.py"] = held[f"{PACKAGE}/__init__.py"].replace(mark, own + mark[1:])
    boxes = f"{PACKAGE}/esri/toolboxes"
    held[f"{boxes}/rs_gen.pyt"] = (FOLDER / "rs_gen.pyt").read_bytes()
    held |= {f"{boxes}/{name}": text.encode() for name, text in pages().items()}
    info = f"{PACKAGE}-{version()}.dist-info"
    held[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version()}\n"
        "Summary: The rs_gen toolbox for ArcGIS Pro; it runs rs-gen where that is installed\n"
        "License: Apache-2.0\nRequires-Python: >=3.11\n"
    ).encode()
    held[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: rs_gen\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    held[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    return held


def build_wheel(folder: Path) -> Path:
    """The wheel, in a folder; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PACKAGE}-{version()}-py3-none-any.whl"
    held = contents()
    record = f"{PACKAGE}-{version()}.dist-info/RECORD"
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in held.items()]
    held[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in held.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.external_attr = 0o644 << 16
            wheel.writestr(member, data, zipfile.ZIP_DEFLATED)
    return path


def _digest(data: bytes) -> str:
    digest = hashlib.sha256(data).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def main(words: list[str]) -> int:
    if words[:1] == ["help"]:
        stale = write_help(check="--check" in words)
        print(f"toolbox/arcgis: {len(stale)} help files were not current")
        return 1 if stale and "--check" in words else 0
    if words[:1] == ["wheel"]:
        print(build_wheel(Path(words[1] if len(words) > 1 else ROOT / "dist")))
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
