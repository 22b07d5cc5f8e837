"""A saved model as a handful of named files, in a folder or in a zip from a stranger.

Members are read straight into memory, by exact name and up to a stated size; nothing is unpacked.
"""

from __future__ import annotations

import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..errors import PackageError

MOST_MEMBERS = 1_000
MOST_UNPACKED = 8 * 2**30  # bytes that a zip may declare for all members together
SMALL = 16 * 2**20  # bytes of a JSON text
LARGE = 4 * 2**30  # bytes of weights
MOST_RATIO = 20  # bytes that one packed byte may unpack to; weights hardly shrink at all
_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same model is the same bytes


class Archive(ABC):
    """Files of a saved model by plain name.

    Attributes:
        path: The folder or the zip, for messages.
    """

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """Files at the top, without folders."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file that is there."""

    @abstractmethod
    def open_bytes(self, name: str, most: int) -> bytes:
        """At most ``most`` bytes of a file that is there."""

    def read(self, name: str, most: int) -> bytes:
        """A whole file.

        Raises:
            PackageError: It is not there, not at the top, or larger than ``most`` bytes.
        """
        self.require(name, most)
        content = self.open_bytes(name, most + 1)
        if len(content) > most:
            raise PackageError(f"{self.path}: {name} is larger than {most} bytes")
        return content

    def require(self, name: str, most: int) -> None:
        """Refuse a file that is not there, not at the top, or larger than ``most`` bytes."""
        if not is_plain(name):
            raise PackageError(f"{self.path}: {name!r} does not lie at the top of the model")
        if name not in self.names():
            raise PackageError(f"{self.path} has no {name}; the model is not whole")
        if self.size(name) > most:
            raise PackageError(
                f"{self.path}: {name} has {self.size(name)} bytes; at most {most} are read"
            )

    def definition(self) -> str:
        """Name of the one ``.emd``.

        Raises:
            PackageError: There is none, or more than one.
        """
        found = sorted(name for name in self.names() if name.lower().endswith(".emd"))
        if len(found) == 1:
            return found[0]
        listed = f"there are {', '.join(found[:5])}" if found else "there is none"
        raise PackageError(f"{self.path} is not a saved model: one .emd is needed and {listed}")


class Folder(Archive):
    """A model that lies in a folder; ``emd`` names its definition where a person did."""

    def __init__(self, path: Path, emd: str | None = None):
        self.path, self._emd = path, emd

    def names(self) -> list[str]:
        """Files at the top."""
        return [p.name for p in self.path.iterdir() if p.is_file()]

    def size(self, name: str) -> int:
        """Bytes on disk."""
        return (self.path / name).stat().st_size

    def open_bytes(self, name: str, most: int) -> bytes:
        """The first ``most`` bytes."""
        with (self.path / name).open("rb") as file:
            return file.read(most)

    def definition(self) -> str:
        """The one that was named, or the only one."""
        return self._emd or super().definition()


class Zip(Archive):
    """A model in a ``.dlpk``, checked before anything in it is read.

    Raises:
        PackageError: It is no zip, or a member would escape, is a link, is encrypted, comes
            twice, or the members are too many or declare too much.
    """

    def __init__(self, path: Path, file: zipfile.ZipFile):
        self.path, self._file = path, file
        members = file.infolist()
        if len(members) > MOST_MEMBERS:
            raise PackageError(f"{path} holds {len(members)} files; at most {MOST_MEMBERS} may be")
        declared = sum(m.file_size for m in members)
        if declared > MOST_UNPACKED:
            raise PackageError(
                f"{path} unpacks to {declared} bytes; at most {MOST_UNPACKED} may be"
            )
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            self._check(member)
            self._members[member.filename] = member

    def _check(self, member: zipfile.ZipInfo) -> None:
        name = member.filename
        path = PurePosixPath(name)
        bad = None
        if not name or path.is_absolute() or ":" in name or "\\" in name or ".." in path.parts:
            bad = "lies outside the package"
        elif stat.S_ISLNK(member.external_attr >> 16):
            bad = "is a link"
        elif member.flag_bits & 0x1:
            bad = "is encrypted"
        elif name in self._members:
            bad = "is there twice"
        elif member.file_size > SMALL and member.file_size > MOST_RATIO * member.compress_size:
            bad = f"unpacks from {member.compress_size} to {member.file_size} bytes"
        if bad:
            raise PackageError(f"{self.path} is not safe to read: member {name!r} {bad}")

    def names(self) -> list[str]:
        """Members at the top."""
        return [name for name in self._members if "/" not in name]

    def size(self, name: str) -> int:
        """Bytes that the member declares once unpacked."""
        return self._members[name].file_size

    def open_bytes(self, name: str, most: int) -> bytes:
        """The first ``most`` bytes, unpacked."""
        try:
            with self._file.open(self._members[name]) as file:
                return file.read(most)  # no more than asked, whatever the member declares
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, OSError) as error:
            raise PackageError(f"{self.path}: {name} is broken ({error})") from error
        except Exception as error:  # zlib.error and lzma.LZMAError share no parent below this
            raise PackageError(f"{self.path}: {name} does not unpack ({error})") from error


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The files of a model folder, of the folder around an ``.emd``, or of a ``.dlpk``.

    Raises:
        PackageError: There is nothing at the path, or something else.
    """
    if path.is_dir():
        yield Folder(path)
    elif not path.exists():
        raise PackageError(f"{path} is not there")
    elif path.suffix.lower() == ".emd":
        yield Folder(path.parent, path.name)
    elif path.suffix.lower() == ".dlpk":
        try:
            file = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise PackageError(f"{path} is not a .dlpk: it is no zip ({error})") from error
        with file:
            yield Zip(path, file)
    else:
        raise PackageError(f"{path} is not a saved model; give its folder, its .emd or its .dlpk")


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Files into a zip, in order; weights uncompressed, for they do not shrink."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.external_attr = 0o644 << 16
            packed = not name.endswith((".safetensors", ".png"))
            kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            file.writestr(member, content, kind)


def is_plain(name: object) -> bool:
    """Whether a name is one file's, without folders."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set("/\\:") & set(name)
