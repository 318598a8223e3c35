"""Copies of this checkout, to run the project in."""

import shutil
import subprocess


def tracked_files(root):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [path for path in listed.split("\0") if path and (root / path).is_file()]


def copied(root, folder):
    """A folder with the files that git knows, or would take."""
    for path in tracked_files(root):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, folder / path)
    return folder
