"""Recipes: each arrives on a host as the kind that it is, and has the form that digests were made from so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from roles.contract.recipes import (
    Archive,
    ArchiveSource,
    BackendCheck,
    FilesRecipe,
    HostModelRecipe,
    HubModelRecipe,
    ModelRecipe,
    PythonEnvRecipe,
    Recipe,
    ReleaseRecipe,
    SdistSource,
    SentModelRecipe,
    SourceBuildRecipe,
)
from roles.contract.requests import MakeInstall
from roles.contract.wire import WireError, read, written
from tests.requests import make_install

CUDA = BackendCheck(name="CUDA", libraries="bin")
SDIST = SdistSource(package="p", version="1", sha256="ab", subdirectory="vendor")
RECIPES: list[Recipe] = [
    PythonEnvRecipe(
        requirements="a==1", build_requirements="", indexes=("--no-index",), environment={"A": "b"}, check=("-V",)
    ),
    PythonEnvRecipe(
        requirements="a==1", build_requirements="", indexes=(), environment={}, check=("-V",), toolkit="cuda"
    ),
    SourceBuildRecipe(
        source=ArchiveSource(url="http://h/x.tar.gz", sha256="ab", subdirectory=None),
        cmake_options={"A": "ON"},
        targets=("server",),
        output="bin",
    ),
    SourceBuildRecipe(source=SDIST, cmake_options={}, targets=(), output="bin", toolkit="cuda", backend=CUDA),
    ReleaseRecipe(
        archives=(Archive("http://h/x.tgz", None), Archive("http://h/y.tgz", "ab", strip=1, into="lib")),
        check=("server", "--version"),
        says="1",
        backend=CUDA,
    ),
    FilesRecipe(files={"a.txt": "text"}),
    ModelRecipe(url="http://h/m.gguf", sha256="ab", filename="m.gguf"),
    SentModelRecipe(sha256="ab", filename="m.gguf"),
    HubModelRecipe(endpoint="http://h", repository="o/m", revision="main", files=("*.json",), sha256=None),
    HostModelRecipe(path="/data/m.gguf", files=("/data/m.gguf",), sha256=None),
]
_SHAPES = [pytest.param(each, id=each.kind) for each in RECIPES]


@pytest.mark.parametrize("recipe", _SHAPES)
def test_a_recipe_travels_as_it_is(recipe: Recipe, tmp_path: Path) -> None:
    request = make_install(tmp_path, recipe, "an install")
    assert read(MakeInstall, json.loads(json.dumps(written(request)))) == request


def test_every_kind_is_among_them_and_has_one_name() -> None:
    assert {type(recipe) for recipe in RECIPES} == {*get_args(Recipe)}
    assert len({recipe.kind for recipe in RECIPES}) == len(get_args(Recipe))


def test_a_recipe_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    sent = written(make_install(tmp_path, FilesRecipe(files={}), "an install"))
    with pytest.raises(WireError, match="kind is 'cobwebs', not one of 'files'"):
        read(MakeInstall, {**sent, "recipe": {**sent["recipe"], "kind": "cobwebs"}})


@pytest.mark.parametrize("recipe", _SHAPES)
def test_the_form_for_the_digest_has_no_kind(recipe: Recipe) -> None:
    assert "kind" not in recipe.document()


def test_the_form_for_the_digest_lacks_what_is_none_by_default_and_nothing_else() -> None:
    archive, sdist = (recipe for recipe in RECIPES if isinstance(recipe, SourceBuildRecipe))
    assert archive.document() == {
        "source": {"type": "UrlArchive", "url": "http://h/x.tar.gz", "sha256": "ab", "subdirectory": None},
        "cmake_options": {"A": "ON"},
        "targets": ["server"],
        "output": "bin",
    }
    assert sdist.document() == {
        "source": {"type": "PythonSdist", "package": "p", "version": "1", "sha256": "ab", "subdirectory": "vendor"},
        "cmake_options": {},
        "targets": [],
        "output": "bin",
        "toolkit": "cuda",
        "backend": {"name": "CUDA", "libraries": "bin"},
    }
    (release,) = (recipe for recipe in RECIPES if isinstance(recipe, ReleaseRecipe))
    assert release.document()["archives"] == [
        {"url": "http://h/x.tgz", "sha256": None},
        {"url": "http://h/y.tgz", "sha256": "ab", "strip": 1, "into": "lib"},
    ]
